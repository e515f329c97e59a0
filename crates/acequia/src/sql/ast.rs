//! What a statement says, before anything is looked up.
//!
//! Places in the text do not take part in equality, as in sqlparser's own tree: two statements are equal when they
//! say the same.

use acequia_core::{Error, Location, Options, OutputMode};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Ident, ObjectName, Query};
use std::time::Duration;

/// A statement with its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedStatement {
    /// What it says.
    pub statement: Statement,
    /// Its own text, without the closing `;`.
    pub text: String,
    /// Where its first word stands.
    pub location: Location,
    /// The `-- ...` lines before it, without the dashes and trimmed.
    pub leading_comments: Vec<String>,
    /// Its number in the text, from 1.
    pub number: usize,
}

/// A statement of Acequia SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `CREATE STREAM` and its synonyms.
    CreateStream(Box<CreateStream>),
    /// `CREATE SINK`.
    CreateSink(CreateSink),
    /// `CREATE MATERIALIZED VIEW`.
    CreateMaterializedView(CreateMaterializedView),
    /// `CREATE STREAMING TABLE`.
    CreateStreamingTable(CreateStreamingTable),
    /// `INSERT`.
    Insert(Insert),
    /// `SELECT`, `WITH`, `VALUES`, `TABLE`, `FROM`.
    Query(ContinuousQuery),
    /// `BEGIN`: the inserts up to `COMMIT` are one micro-batch.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `DROP` of one of ours.
    Drop(Drop),
    /// `DESCRIBE`.
    Describe(Describe),
    /// `SHOW STREAMS` and the like.
    Show(ShowKind),
    /// `SHOW CREATE [STREAM | ...] name`.
    ShowCreate {
        /// What the name is said to be.
        kind: Option<ObjectKind>,
        /// The name.
        name: ObjectName,
    },
    /// `STOP QUERY [IF EXISTS] name`.
    StopQuery {
        /// The query's name, as written.
        name: String,
        /// No error when there is none.
        if_exists: bool,
    },
    /// `EXPLAIN STREAMING`.
    ExplainStreaming(ExplainStreaming),
    /// `SET acequia.key = value`.
    Set {
        /// The key, in lower case, `acequia.` included.
        key: String,
        /// The value as text.
        value: String,
    },
    /// Everything that DataFusion knows itself.
    DataFusion(Box<DataFusionStatement>),
}

/// `CREATE STREAM name (columns) WITH (options)`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateStream {
    /// The name.
    pub name: ObjectName,
    /// Takes the place of one with this name.
    pub or_replace: bool,
    /// Nothing happens when there is one with this name.
    pub if_not_exists: bool,
    /// The columns in order; empty when they are to be inferred.
    pub columns: Vec<Column>,
    /// The event-time column, if any.
    pub watermark: Option<WatermarkClause>,
    /// The columns of the key; empty when there is none.
    pub primary_key: Vec<Ident>,
    /// The options of the connector; without any, the stream is in memory.
    pub options: Options,
    /// `COMMENT '...'`.
    pub comment: Option<String>,
}

/// A column of a stream.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name.
    pub name: Ident,
    /// Where its values come from.
    pub kind: ColumnKind,
    /// `COMMENT '...'`.
    pub comment: Option<String>,
    /// Where its name stands.
    pub location: Location,
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.kind, &self.comment) == (&other.name, &other.kind, &other.comment)
    }
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnKind {
    /// From the record.
    Physical {
        /// Its type.
        data_type: DataType,
        /// Whether NULL is allowed.
        nullable: bool,
    },
    /// `name AS expr`: from the other columns.
    Computed {
        /// The expression.
        expr: Box<Expr>,
    },
    /// `name type METADATA FROM 'key'`: from the connector.
    Metadata {
        /// Its type.
        data_type: DataType,
        /// The connector's name for it.
        from: String,
    },
}

/// `WATERMARK FOR column [AS expr]`.
#[derive(Debug, Clone)]
pub struct WatermarkClause {
    /// The event-time column.
    pub column: Ident,
    /// The watermark that a row asks for; without it the event time itself, so no delay.
    pub expr: Option<Expr>,
    /// Where the clause stands.
    pub location: Location,
}

impl PartialEq for WatermarkClause {
    fn eq(&self, other: &Self) -> bool {
        (&self.column, &self.expr) == (&other.column, &other.expr)
    }
}

/// `CREATE SINK name WITH (options)`: the columns come from the query that writes to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSink {
    /// The name.
    pub name: ObjectName,
    /// Takes the place of one with this name.
    pub or_replace: bool,
    /// Nothing happens when there is one with this name.
    pub if_not_exists: bool,
    /// The options of the connector.
    pub options: Options,
}

/// `CREATE MATERIALIZED VIEW name AS query`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateMaterializedView {
    /// The name.
    pub name: ObjectName,
    /// Takes the place of one with this name.
    pub or_replace: bool,
    /// Nothing happens when there is one with this name.
    pub if_not_exists: bool,
    /// The query; options before AS and after the query are together in it.
    pub query: ContinuousQuery,
}

/// `CREATE STREAMING TABLE name AS query`: a table that a continuous query feeds.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateStreamingTable {
    /// The name.
    pub name: ObjectName,
    /// Takes the place of one with this name.
    pub or_replace: bool,
    /// Nothing happens when there is one with this name.
    pub if_not_exists: bool,
    /// The query; options before AS and after the query are together in it.
    pub query: ContinuousQuery,
}

/// `INSERT INTO target [(columns)] query`.
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    /// The stream, sink or table.
    pub target: ObjectName,
    /// The columns that the query gives, in its order; empty means all.
    pub columns: Vec<Ident>,
    /// `INSERT OVERWRITE`.
    pub overwrite: bool,
    /// What is inserted.
    pub query: ContinuousQuery,
    /// Whether the query is a plain VALUES list.
    pub is_values: bool,
}

/// A query and how it runs.
#[derive(Debug, Clone)]
pub struct ContinuousQuery {
    /// The query in canonical form.
    pub query: Box<Query>,
    /// `EMIT mode`, and where it stands.
    pub emit: Option<(OutputMode, Location)>,
    /// `TRIGGER ...`, and where it stands.
    pub trigger: Option<(Trigger, Location)>,
    /// The closing `WITH (...)`.
    pub options: Options,
    /// Where its first word stands.
    pub location: Location,
}

impl PartialEq for ContinuousQuery {
    fn eq(&self, other: &Self) -> bool {
        self.query == other.query
            && self.emit.map(|e| e.0) == other.emit.map(|e| e.0)
            && self.trigger.map(|t| t.0) == other.trigger.map(|t| t.0)
            && self.options == other.options
    }
}

impl ContinuousQuery {
    /// Refuses `EMIT`, `TRIGGER` and `WITH (...)` where the query is no continuous one.
    ///
    /// # Errors
    /// `Invalid`, at the clause, saying `why`.
    pub fn expect_plain(&self, why: &str) -> acequia_core::Result<()> {
        let clause = match (&self.emit, &self.trigger) {
            (Some((_, at)), _) => ("EMIT", *at),
            (None, Some((_, at))) => ("TRIGGER", *at),
            (None, None) if !self.options.is_empty() => ("WITH (...)", self.location),
            (None, None) => return Ok(()),
        };
        Err(Error::invalid(format!("{} belongs to a continuous query; {why}", clause.0)).at(clause.1))
    }
}

/// When a query starts its next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// `TRIGGER EVERY '5 seconds'`.
    ProcessingTime(Duration),
    /// `TRIGGER AVAILABLE NOW`: all that is there, in as many batches as limits ask for, then stop.
    AvailableNow,
    /// `TRIGGER ONCE`: one batch, then stop.
    Once,
}

/// A kind of named thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A stream.
    Stream,
    /// A sink.
    Sink,
    /// A table.
    Table,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A streaming table.
    StreamingTable,
}

impl ObjectKind {
    /// Its words in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "STREAM",
            Self::Sink => "SINK",
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::MaterializedView => "MATERIALIZED VIEW",
            Self::StreamingTable => "STREAMING TABLE",
        }
    }
}

/// `DROP kind [IF EXISTS] name`; tables and views that DataFusion drops itself are not among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Drop {
    /// What it is said to be.
    pub kind: ObjectKind,
    /// The name.
    pub name: ObjectName,
    /// No error when there is none.
    pub if_exists: bool,
}

/// `DESCRIBE [EXTENDED] [kind] name`.
#[derive(Debug, Clone, PartialEq)]
pub struct Describe {
    /// What it is said to be.
    pub kind: Option<ObjectKind>,
    /// The name.
    pub name: ObjectName,
    /// With options, watermark and the like.
    pub extended: bool,
}

/// What SHOW lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShowKind {
    /// `SHOW STREAMS`, `SHOW SOURCES`.
    Streams,
    /// `SHOW SINKS`.
    Sinks,
    /// `SHOW QUERIES`.
    Queries,
    /// `SHOW TABLES`.
    Tables,
    /// `SHOW VIEWS`.
    Views,
    /// `SHOW MATERIALIZED VIEWS`.
    MaterializedViews,
    /// `SHOW STREAMING TABLES`.
    StreamingTables,
}

/// `EXPLAIN STREAMING statement`.
#[derive(Debug, Clone, PartialEq)]
pub enum ExplainStreaming {
    /// Of a query.
    Query(ContinuousQuery),
    /// Of an insert, a materialized view or a streaming table.
    Statement(Box<Statement>),
}

impl ExplainStreaming {
    /// The query that is explained.
    pub fn query(&self) -> Option<&ContinuousQuery> {
        match self {
            Self::Query(query) => Some(query),
            Self::Statement(statement) => match statement.as_ref() {
                Statement::Insert(insert) => Some(&insert.query),
                Statement::CreateMaterializedView(view) => Some(&view.query),
                Statement::CreateStreamingTable(table) => Some(&table.query),
                _ => None,
            },
        }
    }
}

impl Insert {
    /// The same insert as DataFusion's statement, for a target that is a plain table. The clauses of a continuous
    /// query are not part of it: see [`ContinuousQuery::expect_plain`].
    pub fn to_datafusion(&self) -> DataFusionStatement {
        let columns = self.columns.iter().map(|c| ObjectName::from(vec![c.clone()])).collect();
        let insert = ast::Insert {
            insert_token: ast::helpers::attached_token::AttachedToken::empty(),
            optimizer_hints: vec![],
            or: None,
            ignore: false,
            into: !self.overwrite,
            table: ast::TableObject::TableName(self.target.clone()),
            table_alias: None,
            columns,
            overwrite: self.overwrite,
            source: Some(self.query.query.clone()),
            assignments: vec![],
            partitioned: None,
            after_columns: vec![],
            has_table_keyword: self.overwrite,
            on: None,
            returning: None,
            output: None,
            replace_into: false,
            priority: None,
            insert_alias: None,
            settings: None,
            format_clause: None,
            multi_table_insert_type: None,
            multi_table_into_clauses: vec![],
            multi_table_when_clauses: vec![],
            multi_table_else_clause: None,
        };
        DataFusionStatement::Statement(Box::new(ast::Statement::Insert(insert)))
    }
}
