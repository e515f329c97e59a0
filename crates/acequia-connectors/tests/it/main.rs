//! Sources and sinks against the suites of their contracts, and what is special to each.

mod sources;
