//! From text to statements.
//!
//! ```text
//! text -> split (one tokenizer pass, cut at `;`) -> SourceStatement
//!      -> statement (dispatch on the leading words) -> create / query / control, or DataFusion's own parser
//!      -> relations (STREAM, WATERMARK .. DELAY OF: rewritten in the tokens, spans kept)
//!      -> table_functions, window_references (rewritten in the syntax tree)
//!      -> Statement
//! ```
//! This is a parser beside DataFusion's, not a fork of it: sqlparser's public methods read names, types, expressions
//! and queries, so every expression keeps its place in the text ([`location_of`]). None of our own words is reserved:
//! `emit`, `trigger`, `watermark` and the like stay usable as names wherever the words after them do not make a clause.
//!
//! A query leaves this module as a plain sqlparser tree. What DataFusion does not know has one canonical form each:
//! - `TUMBLE`, `HOP`, `CUMULATE`, `SESSION`, `drop_duplicates` and `drop_duplicates_within_watermark` in FROM are
//!   table functions `__tumble(...)` and so on, whose first argument is a subquery; columns follow as identifiers;
//!   SESSION's keys are a last argument `__partition_by(k, ...)`;
//! - `rel WATERMARK e [AS a] DELAY OF i` is `__with_watermark((SELECT * FROM rel), e, i[, a]) AS rel`;
//! - `STREAM t` is `t`;
//! - an ASOF JOIN, as which also travels a JOIN with FOR SYSTEM_TIME AS OF, is the last join in parentheses of its own;
//! - references to a grouped window (`window.start`, `window_end`, `TUMBLE_START(..)`) are `get_field(call, 'start')`.
//!
//! Names are not resolved here and options are not checked: the catalog and the connectors do that.

mod asof;
mod ast;
mod build;
mod control;
mod create;
mod cursor;
mod dialect;
mod display;
mod error;
mod ignored;
mod lex;
mod limits;
mod option_list;
mod query;
mod relations;
mod split;
mod statement;
mod table_functions;
#[cfg(test)]
mod tests;
mod window_references;

pub use asof::{SystemTime, system_time};
pub use ast::{
    Column, ColumnKind, ContinuousQuery, CreateMaterializedView, CreateSink, CreateStream,
    CreateStreamingTable, Describe, Drop, ExplainStreaming, Insert, ObjectKind, ParsedStatement, ShowKind,
    Statement, Trigger, WatermarkClause,
};
pub use dialect::AcequiaDialect;
pub use error::location_of;
pub(crate) use ignored::refuse_versions;
pub use lex::{Lexeme, LexemeKind, lex};
pub use split::{SourceStatement, StatementIter, is_complete, parse, split};
