//! Random queries over random rows, compared with the batch answer after every micro-batch.
//!
//! ```text
//! seed -> relations, expressions    the text of a valid query over three streams and a table
//!      -> case                      rows in micro-batches, output mode, shards, restarts
//!      -> run                       the case as a .sql file under the batch oracle of acequia-sqltest
//!      -> crash                     some of them again, dying on the way: the files hold what the undisturbed run gave
//!      -> reduce                    a failing case without what it does not need, as a ready .sql file
//! ```
//! Every answer is unique: what orders rows orders them by all columns, so that rows that tie are the same. Floats that
//! are added are multiples of a half, so that sums are exact in any order. A quarter of the cases has values at the edges
//! of their types, NaN and both zeros among them.
//!
//! A query that is refused as `Unsupported` is counted by its reason. One that DataFusion itself does not plan or run
//! over the same rows as tables is thrown away, and counted too.

mod case;
mod crash;
mod expressions;
mod reduce;
mod relations;
mod run;
mod scope;
mod subqueries;
mod times;
mod values;

pub use case::Case;
pub use reduce::reduced;
pub use run::{Outcome, Summary, check, run};
