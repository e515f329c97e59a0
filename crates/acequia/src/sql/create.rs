//! The CREATE family: streams, sinks, materialized views, streaming tables, and which of them a word means.

use super::ast::{
    Column, ColumnKind, CreateMaterializedView, CreateSink, CreateStream, CreateStreamingTable, Statement,
    WatermarkClause,
};
use super::build::folded;
use super::cursor::{Cursor, is_word, string_of};
use super::option_list::read_options;
use super::query;
use super::statement::read_datafusion;
use acequia_core::options::{nearest, normalize_key};
use acequia_core::{Error, Location, Options, Result};
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Ident, ObjectName};
use datafusion::sql::sqlparser::tokenizer::Token;

/// What can follow CREATE, for suggestions.
const KINDS: &[&str] = &[
    "STREAM",
    "SINK",
    "SOURCE",
    "MATERIALIZED",
    "STREAMING",
    "TABLE",
    "VIEW",
    "EXTERNAL",
    "SCHEMA",
    "DATABASE",
];

/// What DataFusion creates itself.
const PLAIN: &[&str] = &[
    "EXTERNAL",
    "UNBOUNDED",
    "VIEW",
    "TEMP",
    "TEMPORARY",
    "SCHEMA",
    "DATABASE",
    "FUNCTION",
    "INDEX",
    "CATALOG",
];

/// What other engines create, and what does the same here.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["FLOW"], "CREATE FLOW; write INSERT INTO <sink> SELECT .. WITH (name = '..')"),
    (&["MATERIALIZED", "TABLE"], "CREATE MATERIALIZED TABLE; write CREATE MATERIALIZED VIEW .. AS SELECT .."),
    (&["DYNAMIC", "TABLE"], "CREATE DYNAMIC TABLE; write CREATE MATERIALIZED VIEW .. AS SELECT .."),
    (&["LIVE", "TABLE"], "CREATE LIVE TABLE; write CREATE MATERIALIZED VIEW .. AS SELECT .."),
    (&["CONNECTION"], "CREATE CONNECTION; give the options to each stream or sink"),
    (&["CONNECTOR"], "CREATE CONNECTOR; give the options to each stream or sink"),
    (&["MODEL"], "CREATE MODEL; register a function from Rust"),
];

/// How the created thing treats one of its name.
#[derive(Clone, Copy)]
struct Existing {
    or_replace: bool,
    if_not_exists: bool,
}

/// Reads a CREATE statement.
pub(super) fn read(cursor: &mut Cursor) -> Result<Statement> {
    let replace = is_at(cursor, 1, "OR") && is_at(cursor, 2, "REPLACE");
    let kind = if replace { 3 } else { 1 };
    if PLAIN.iter().any(|w| is_at(cursor, kind, w)) {
        return read_datafusion(cursor);
    }
    if is_at(cursor, kind, "TABLE") {
        return read_table(cursor, kind + 1);
    }
    (0..kind).for_each(|_| cursor.advance());
    if let Some((_, message)) = ELSEWHERE.iter().find(|(words, _)| cursor.at(words)) {
        return Err(Error::unsupported(*message).at(cursor.location()));
    }
    if cursor.at(&["OR", "REFRESH"]) {
        return Err(Error::unsupported("OR REFRESH; write CREATE OR REPLACE").at(cursor.location()));
    }
    if cursor.eat(&["STREAM"]) || cursor.eat(&["SOURCE"]) {
        return read_stream(cursor, replace).map(|s| Statement::CreateStream(Box::new(s)));
    }
    if cursor.eat(&["SINK"]) {
        return read_sink(cursor, replace).map(Statement::CreateSink);
    }
    if cursor.eat(&["MATERIALIZED"]) {
        cursor.expect(&["VIEW"])?;
        return read_view(cursor, replace);
    }
    if cursor.eat(&["STREAMING"]) {
        cursor.expect(&["TABLE"])?;
        return read_streaming_table(cursor, replace);
    }
    Err(cursor.unexpected_among("STREAM, SINK, MATERIALIZED VIEW, STREAMING TABLE, TABLE or VIEW", KINDS))
}

fn is_at(cursor: &Cursor, n: usize, word: &str) -> bool {
    cursor.token(n).is_some_and(|t| is_word(t, word))
}

fn read_name(cursor: &mut Cursor, or_replace: bool) -> Result<(Existing, ObjectName)> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    Ok((Existing { or_replace, if_not_exists }, cursor.object_name("a name")?))
}

/// `CREATE TABLE` is a stream when it names a connector, otherwise DataFusion's.
fn read_table(cursor: &mut Cursor, words: usize) -> Result<Statement> {
    let shape = TableShape::of(cursor, words);
    if let Some(at) = shape.misspelt {
        let key = cursor.token(at).map(ToString::to_string).unwrap_or_default();
        (0..at).for_each(|_| cursor.advance());
        let message = format!(
            "a table with options needs the option `connector`, found {key}; did you mean `connector`?"
        );
        return Err(Error::invalid(message).at(cursor.location()));
    }
    if !shape.connector {
        if let Some(at) = shape.watermark {
            (0..at).for_each(|_| cursor.advance());
            let message =
                "a watermark belongs to a stream; write CREATE STREAM, or add WITH (connector = '..')";
            return Err(Error::invalid(message).at(cursor.location()));
        }
        return read_datafusion(cursor);
    }
    let replace = words == 4;
    (0..words).for_each(|_| cursor.advance());
    read_stream(cursor, replace).map(|s| Statement::CreateStream(Box::new(s)))
}

/// What a CREATE TABLE holds, seen from its tokens.
#[derive(Default)]
struct TableShape {
    /// It names a connector: `USING x`, or the option.
    connector: bool,
    /// The index of an option's key that is nearly `connector`, when there is none.
    misspelt: Option<usize>,
    /// The index of `WATERMARK FOR` in the column list.
    watermark: Option<usize>,
}

impl TableShape {
    fn of(cursor: &Cursor, from: usize) -> Self {
        let mut shape = Self::default();
        let mut depth = 0usize;
        let mut in_options = false;
        for (n, token) in cursor.rest().iter().enumerate().skip(from) {
            let token = &token.token;
            match token {
                Token::LParen => {
                    depth += 1;
                    in_options =
                        depth == 1 && (is_at(cursor, n - 1, "WITH") || is_at(cursor, n - 1, "OPTIONS"));
                }
                Token::RParen => depth = depth.saturating_sub(1),
                _ if depth == 0 && is_word(token, "AS") => break,
                _ if depth == 0 && is_word(token, "USING") => shape.connector = true,
                _ if depth == 1 && in_options => shape.option(cursor, n),
                _ if depth == 1 && is_word(token, "WATERMARK") && is_at(cursor, n + 1, "FOR") => {
                    shape.watermark = Some(n);
                }
                _ => {}
            }
        }
        if shape.connector {
            shape.misspelt = None;
        }
        shape
    }

    fn option(&mut self, cursor: &Cursor, n: usize) {
        if !matches!(cursor.token(n - 1), Some(Token::LParen | Token::Comma)) {
            return;
        }
        let key = match cursor.token(n) {
            Some(Token::Word(word)) => normalize_key(&word.value),
            Some(token) => normalize_key(string_of(token).unwrap_or_default()),
            None => return,
        };
        if key == "connector" {
            self.connector = true;
        } else if nearest(&key, ["connector"]).is_some() {
            self.misspelt = Some(n);
        }
    }
}

fn read_stream(cursor: &mut Cursor, or_replace: bool) -> Result<CreateStream> {
    let (existing, name) = read_name(cursor, or_replace)?;
    let mut columns = Columns::default();
    if cursor.at_token(&Token::LParen) {
        cursor.list("columns", |c| columns.read_element(c))?;
        columns.check()?;
    }
    let mut options = Options::new(format!("stream `{name}`"));
    let comment = read_stream_clauses(cursor, &mut options)?;
    let Existing { or_replace, if_not_exists } = existing;
    let Columns { columns, watermark, primary_key, .. } = columns;
    Ok(CreateStream { name, or_replace, if_not_exists, columns, watermark, primary_key, options, comment })
}

/// What follows the columns of a stream, in any order. Gives the comment.
fn read_stream_clauses(cursor: &mut Cursor, options: &mut Options) -> Result<Option<String>> {
    let mut comment = None;
    while !cursor.is_done() {
        let at = cursor.location();
        if cursor.eat(&["COMMENT"]) {
            cursor.eat_token(&Token::Eq);
            comment = Some(cursor.string("the comment as a string")?);
        } else if cursor.eat(&["WITH"]) || cursor.eat(&["OPTIONS"]) || cursor.eat(&["TBLPROPERTIES"]) {
            read_options(cursor, options)?;
        } else if cursor.eat(&["USING"]) {
            let connector = cursor.ident("a connector")?.value;
            options.insert("connector", connector).map_err(|e| e.at(at))?;
        } else if let Some(error) = refused_stream_clause(cursor) {
            return Err(error.at(at));
        } else {
            let words = ["WITH", "USING", "OPTIONS", "COMMENT"];
            return Err(cursor.unexpected_among("WITH (...) or the end of the statement", &words));
        }
    }
    Ok(comment)
}

fn refused_stream_clause(cursor: &Cursor) -> Option<Error> {
    if cursor.at(&["AS"]) {
        return Some(Error::unsupported(
            "a stream from a query; write CREATE VIEW, or CREATE MATERIALIZED VIEW to keep its result, or INSERT INTO a sink",
        ));
    }
    if cursor.at(&["FORMAT"]) || cursor.at(&["ENCODE"]) {
        return Some(Error::unsupported(
            "FORMAT .. ENCODE ..; write the option format, as WITH (format = 'json')",
        ));
    }
    if cursor.at(&["PARTITIONED"]) {
        return Some(Error::unsupported("PARTITIONED BY on a stream; give a sink the option partition_by"));
    }
    if cursor.at(&["LIKE"]) {
        return Some(Error::unsupported("CREATE .. LIKE; list the columns"));
    }
    None
}

/// The column list of a stream.
#[derive(Default)]
struct Columns {
    columns: Vec<Column>,
    watermark: Option<WatermarkClause>,
    primary_key: Vec<Ident>,
    key_location: Option<Location>,
}

impl Columns {
    fn read_element(&mut self, cursor: &mut Cursor) -> Result<()> {
        let at = cursor.location();
        if cursor.eat(&["WATERMARK", "FOR"]) {
            return self.read_watermark(cursor, at);
        }
        if cursor.eat(&["CONSTRAINT"]) {
            cursor.ident("the constraint's name")?;
        }
        if cursor.eat(&["PRIMARY", "KEY"]) {
            let key = cursor.list("columns", |c| c.ident("a column"))?;
            cursor.eat(&["NOT", "ENFORCED"]);
            return self.set_key(key, at);
        }
        refuse_constraint(cursor)?;
        let column = self.read_column(cursor)?;
        self.columns.push(column);
        Ok(())
    }

    fn read_watermark(&mut self, cursor: &mut Cursor, location: Location) -> Result<()> {
        let column = cursor.ident("the event-time column")?;
        let expr = if cursor.eat(&["AS"]) { Some(cursor.expr()?) } else { None };
        let clause = WatermarkClause { column, expr, location };
        match self.watermark.replace(clause) {
            Some(_) => Err(Error::invalid("a stream has one watermark; remove one").at(location)),
            None => Ok(()),
        }
    }

    fn set_key(&mut self, key: Vec<Ident>, at: Location) -> Result<()> {
        if self.key_location.replace(at).is_some() {
            return Err(Error::invalid("a stream has one primary key; write PRIMARY KEY (a, b)").at(at));
        }
        self.primary_key = key;
        Ok(())
    }

    fn read_column(&mut self, cursor: &mut Cursor) -> Result<Column> {
        let location = cursor.location();
        let name = cursor.ident("a column")?;
        let kind = if cursor.eat(&["AS"]) {
            ColumnKind::Computed { expr: Box::new(cursor.expr()?) }
        } else if cursor.at(&["METADATA"]) && !cursor.token(1).is_some_and(|t| matches!(t, Token::LParen)) {
            let message = format!(
                "metadata column needs a type: column=`{name}`; write {name} <type> METADATA FROM '..'"
            );
            return Err(Error::invalid(message).at(cursor.location()));
        } else {
            ColumnKind::Physical { data_type: cursor.data_type()?, nullable: true }
        };
        let mut column = Column { name, kind, comment: None, location };
        while self.read_column_option(cursor, &mut column)? {}
        Ok(column)
    }

    /// Reads one option of a column; false when none comes.
    fn read_column_option(&mut self, cursor: &mut Cursor, column: &mut Column) -> Result<bool> {
        let at = cursor.location();
        if cursor.eat(&["NOT", "NULL"]) {
            set_nullable(column, false, at)?;
        } else if cursor.eat(&["NULL"]) {
            set_nullable(column, true, at)?;
        } else if cursor.eat(&["PRIMARY", "KEY"]) {
            cursor.eat(&["NOT", "ENFORCED"]);
            self.set_key(vec![column.name.clone()], at)?;
        } else if cursor.eat(&["COMMENT"]) {
            column.comment = Some(cursor.string("the comment as a string")?);
        } else if cursor.at(&["METADATA"]) || cursor.at(&["GENERATED"]) || cursor.at(&["AS"]) {
            derive(cursor, column)?;
        } else {
            refuse_column_option(cursor)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Names are there once; watermark and key name columns.
    fn check(&self) -> Result<()> {
        for (n, column) in self.columns.iter().enumerate() {
            if self.columns[..n].iter().any(|c| folded(&c.name) == folded(&column.name)) {
                return Err(
                    Error::invalid(format!("column given twice: {}", column.name)).at(column.location)
                );
            }
        }
        if let Some(clause) = &self.watermark {
            self.check_known("watermark column", &clause.column, clause.location)?;
        }
        for key in &self.primary_key {
            let at = self.key_location.unwrap_or(Location { line: 1, column: 1 });
            self.check_known("primary key column", key, at)?;
            let column = self.columns.iter().find(|column| folded(&column.name) == folded(key));
            if column.is_some_and(|column| !matches!(column.kind, ColumnKind::Physical { .. })) {
                return Err(Error::invalid(format!(
                    "a primary key is of columns that the records have, and `{key}` is computed or metadata; declare others"
                ))
                .at(at));
            }
        }
        Ok(())
    }

    fn check_known(&self, what: &str, name: &Ident, at: Location) -> Result<()> {
        let names: Vec<_> = self.columns.iter().map(|c| folded(&c.name)).collect();
        if names.is_empty() || names.contains(&folded(name)) {
            return Ok(());
        }
        Err(acequia_core::options::unknown(what, &name.value, names.iter().map(String::as_str)).at(at))
    }
}

fn set_nullable(column: &mut Column, to: bool, at: Location) -> Result<()> {
    match &mut column.kind {
        ColumnKind::Physical { nullable, .. } => {
            *nullable = to;
            Ok(())
        }
        _ => {
            Err(Error::unsupported("NOT NULL on a column that is computed or metadata; leave it out").at(at))
        }
    }
}

/// `METADATA [FROM 'key']`, `[GENERATED ALWAYS] AS (expr)`: the type read before becomes the derived column's.
fn derive(cursor: &mut Cursor, column: &mut Column) -> Result<()> {
    let at = cursor.location();
    let ColumnKind::Physical { data_type, nullable: true } = column.kind.clone() else {
        return Err(Error::invalid(format!("column is defined twice: {}", column.name)).at(at));
    };
    if cursor.eat(&["METADATA"]) {
        let from = if cursor.eat(&["FROM"]) {
            cursor.string("the connector's name for it, as a string")?
        } else {
            column.name.value.clone()
        };
        cursor.eat(&["VIRTUAL"]);
        column.kind = ColumnKind::Metadata { data_type, from };
        return Ok(());
    }
    if cursor.eat(&["GENERATED"]) {
        cursor.expect(&["ALWAYS"])?;
    }
    cursor.expect(&["AS"])?;
    let expr = cursor.expr()?;
    let _noise = cursor.eat(&["STORED"]) || cursor.eat(&["VIRTUAL"]);
    column.kind = ColumnKind::Computed { expr: Box::new(cast(expr, data_type)) };
    Ok(())
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn refuse_constraint(cursor: &Cursor) -> Result<()> {
    let refused: &[(&[&str], &str)] = &[
        (&["UNIQUE"], "UNIQUE on a stream; write PRIMARY KEY (..) NOT ENFORCED"),
        (&["CHECK"], "CHECK on a stream; filter in the query"),
        (&["FOREIGN", "KEY"], "FOREIGN KEY on a stream; leave it out"),
        (&["PERIOD", "FOR"], "PERIOD FOR on a stream; join with FOR SYSTEM_TIME AS OF"),
    ];
    let found = refused.iter().find(|(words, _)| {
        let follows = cursor.token(words.len());
        cursor.at(words) && (words.len() > 1 || follows == Some(&Token::LParen))
    });
    found.map_or(Ok(()), |(_, message)| Err(Error::unsupported(*message).at(cursor.location())))
}

fn refuse_column_option(cursor: &Cursor) -> Result<()> {
    let refused: &[(&str, &str)] = &[
        ("UNIQUE", "UNIQUE on a stream; write PRIMARY KEY NOT ENFORCED"),
        ("CHECK", "CHECK on a stream; filter in the query"),
        ("DEFAULT", "DEFAULT on a stream; write a computed column with coalesce"),
        ("REFERENCES", "REFERENCES on a stream; leave it out"),
    ];
    match refused.iter().find(|(word, _)| cursor.at(&[word])) {
        Some((_, message)) => Err(Error::unsupported(*message).at(cursor.location())),
        None if cursor.at_token(&Token::Comma) || cursor.at_token(&Token::RParen) => Ok(()),
        None => {
            let words = ["NOT", "NULL", "PRIMARY", "METADATA", "COMMENT"];
            Err(cursor.unexpected_among("`,` or `)` after the column", &words))
        }
    }
}

fn read_sink(cursor: &mut Cursor, or_replace: bool) -> Result<CreateSink> {
    let (existing, name) = read_name(cursor, or_replace)?;
    let at = cursor.location();
    if cursor.at_token(&Token::LParen) {
        return Err(Error::invalid("a sink has no column list; its columns come from the query").at(at));
    }
    if cursor.at(&["AS"]) || cursor.at(&["FROM"]) {
        let message = "a sink with a query; write CREATE SINK .. WITH (..) and then INSERT INTO it SELECT ..";
        return Err(Error::unsupported(message).at(at));
    }
    let mut options = Options::new(format!("sink `{name}`"));
    if cursor.eat(&["USING"]) {
        let connector = cursor.ident("a connector")?.value;
        options.insert("connector", connector)?;
        if cursor.eat(&["OPTIONS"]) {
            read_options(cursor, &mut options)?;
        }
    } else {
        cursor.expect(&["WITH"])?;
        read_options(cursor, &mut options)?;
    }
    if cursor.at(&["AS"]) {
        let message = "a sink with a query; end the statement here and write INSERT INTO it SELECT ..";
        return Err(Error::unsupported(message).at(cursor.location()));
    }
    cursor.finish()?;
    let Existing { or_replace, if_not_exists } = existing;
    Ok(CreateSink { name, or_replace, if_not_exists, options })
}

/// What stands between the name and the query: options, then AS.
fn read_fed(cursor: &mut Cursor, what: &str, name: &ObjectName) -> Result<Options> {
    let at = cursor.location();
    if cursor.at_token(&Token::LParen) {
        let message = format!("a {what} has no column list; name the columns in its SELECT");
        return Err(Error::unsupported(message).at(at));
    }
    let mut options = Options::new(format!("{what} `{name}`"));
    if cursor.eat(&["WITH"]) {
        read_options(cursor, &mut options)?;
    }
    cursor.expect(&["AS"])?;
    if cursor.is_done() {
        return Err(cursor.unexpected("a query"));
    }
    Ok(options)
}

fn read_view(cursor: &mut Cursor, or_replace: bool) -> Result<Statement> {
    let (Existing { or_replace, if_not_exists }, name) = read_name(cursor, or_replace)?;
    let options = read_fed(cursor, "materialized view", &name)?;
    let query = query::read_with(cursor, options)?;
    Ok(Statement::CreateMaterializedView(CreateMaterializedView { name, or_replace, if_not_exists, query }))
}

fn read_streaming_table(cursor: &mut Cursor, or_replace: bool) -> Result<Statement> {
    let (Existing { or_replace, if_not_exists }, name) = read_name(cursor, or_replace)?;
    let options = read_fed(cursor, "streaming table", &name)?;
    let query = query::read_with(cursor, options)?;
    Ok(Statement::CreateStreamingTable(CreateStreamingTable { name, or_replace, if_not_exists, query }))
}
