//! From text to statements.
