//! The SQL that is read: sqlparser's generic dialect, with what streaming SQL needs besides.
//!
//! It answers as `GenericDialect` when asked for its type, so that the parser's own tests for dialects still hold, and
//! passes every switch on. Different are
//! - `FOR SYSTEM_TIME AS OF`, and `MAP<K, V>` as a type;
//! - `EMIT` and `TRIGGER` are no implicit alias where a clause follows (`FROM t EMIT APPEND`);
//! - `TABLE t` as a function's argument is the subquery `(SELECT * FROM t)`: table names are found only in queries,
//!   and DataFusion looks for them before it plans; `rel PARTITION BY k` is kept as [`PARTITIONED`]`(rel, k)`.
//! - MySQL's executable comments (`/*! ... */`) are comments.

use super::build;
use super::cursor::is_word;
use datafusion::sql::sqlparser::ast::{Expr, TableFactor};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::any::TypeId;

pub(super) static DIALECT: AcequiaDialect = AcequiaDialect;

/// The function under which `rel PARTITION BY k, ...` travels from here to the table functions.
pub(super) const PARTITIONED: &str = "__partitioned";

/// Words that make a clause of the `EMIT` before them.
pub(super) const EMIT_WORDS: &[&str] = &["APPEND", "UPDATE", "COMPLETE", "CHANGES", "FINAL"];
/// Words that make a clause of the `TRIGGER` before them.
pub(super) const TRIGGER_WORDS: &[&str] = &["EVERY", "AVAILABLE", "ONCE"];

/// The dialect of Acequia SQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcequiaDialect;

macro_rules! as_generic {
    ($($switch:ident),* $(,)?) => { $(fn $switch(&self) -> bool { GenericDialect.$switch() })* };
}

impl Dialect for AcequiaDialect {
    as_generic! {
        supports_string_literal_backslash_escape, ignores_wildcard_escapes,
        supports_unicode_string_literal, supports_filter_during_aggregation,
        supports_window_clause_named_window_reference, supports_within_after_array_aggregation,
        supports_partition_by_after_order_by, supports_array_join_syntax, supports_group_by_expr,
        supports_group_by_with_modifier, supports_left_associative_joins_without_parens,
        supports_outer_join_operator, supports_cross_join_constraint, supports_connect_by,
        supports_execute_immediate, supports_match_recognize, supports_in_empty_list,
        supports_start_transaction_modifier, supports_end_transaction_modifier,
        supports_named_fn_args_with_eq_operator, supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_assignment_operator, supports_named_fn_args_with_rarrow_operator,
        supports_named_fn_args_with_expr_name, supports_numeric_prefix,
        supports_numeric_literal_underscores, supports_window_function_null_treatment_arg,
        supports_dictionary_syntax, support_map_literal_syntax, supports_lambda_functions,
        supports_parenthesized_set_variables, supports_comma_separated_set_assignments,
        supports_update_order_by, supports_select_wildcard_except, convert_type_before_value,
        supports_triple_quoted_string, supports_limit_comma,
        supports_string_literal_concatenation, supports_string_literal_concatenation_with_newline,
        supports_object_name_double_dot_notation,
        supports_struct_literal, supports_empty_projections, supports_select_expr_star,
        supports_from_first_select, supports_from_first_insert, supports_pipe_operator,
        supports_user_host_grantee, supports_match_against, supports_select_wildcard_exclude,
        supports_select_exclude, supports_create_table_multi_schema_info_sources,
        supports_select_modifiers, describe_requires_table_keyword, allow_extract_custom,
        allow_extract_single_quotes, supports_extract_comma_syntax, supports_subquery_as_function_arg,
        supports_create_view_comment_syntax, supports_array_typedef_without_element_type,
        supports_parens_around_table_factor, supports_values_as_table_factor,
        supports_dollar_placeholder, supports_dollar_as_money_prefix, supports_create_index_with_clause,
        require_interval_qualifier, supports_explain_with_utility_options,
        supports_asc_desc_in_column_definition, supports_factorial_operator,
        supports_bitwise_shift_operators, supports_nested_comments, supports_eq_alias_assignment,
        supports_try_convert, supports_bang_not_operator, supports_listen_notify, supports_load_data,
        supports_load_extension, supports_top_before_distinct, supports_boolean_literals,
        supports_show_like_before_in, supports_comment_on, supports_create_table_select,
        supports_partiql, supports_constraint_keyword_without_name, supports_key_column_option,
        supports_table_sample_before_alias, supports_insert_set, supports_insert_table_function,
        supports_insert_table_query, supports_insert_format, supports_insert_table_alias,
        supports_set_stmt_without_operator, supports_string_escape_constant, supports_table_hints,
        requires_single_line_comment_whitespace, supports_array_typedef_with_brackets,
        supports_geometric_types, supports_order_by_all, supports_set_names,
        supports_space_separated_column_options, supports_alter_column_type_using,
        supports_comma_separated_drop_column_list, supports_notnull_operator,
        supports_data_type_signed_suffix, supports_interval_options,
        supports_create_table_like_parenthesized, supports_semantic_view_table_factor,
        supports_quote_delimited_string, supports_comment_optimizer_hint,
        supports_double_ampersand_operator, supports_binary_kw_as_cast,
        supports_select_wildcard_replace, supports_select_wildcard_ilike,
        supports_select_wildcard_rename, supports_select_wildcard_with_alias, supports_optimize_table,
        supports_install, supports_detach, supports_prewhere, supports_with_fill, supports_limit_by,
        supports_interpolate, supports_settings, supports_select_format, supports_comma_separated_trim,
        supports_cte_without_as, supports_select_item_multi_column_alias, supports_xml_expressions,
        supports_create_table_using, supports_long_type_as_bigint,
    }

    /// With it, a column named like a keyword of any dialect (`SELECT n, top`) would end the list.
    fn supports_projection_trailing_commas(&self) -> bool {
        false
    }

    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }

    fn supports_multiline_comment_hints(&self) -> bool {
        false
    }

    fn is_select_item_alias(&self, explicit: bool, word: &Keyword, parser: &mut Parser) -> bool {
        GenericDialect.is_select_item_alias(explicit, word, parser) && (explicit || !begins_clause(parser))
    }

    fn is_table_factor_alias(&self, explicit: bool, word: &Keyword, parser: &mut Parser) -> bool {
        GenericDialect.is_table_factor_alias(explicit, word, parser) && (explicit || !begins_clause(parser))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        relation_argument(parser).transpose()
    }
}

/// Whether the word just read and the one after it begin an output clause.
fn begins_clause(parser: &Parser) -> bool {
    let (word, next) = (&parser.get_current_token().token, &parser.peek_token_ref().token);
    let follows = |words: &[&str]| words.iter().any(|w| is_word(next, w));
    (is_word(word, "EMIT") && (follows(EMIT_WORDS) || (follows(&["ON"]) && nth_is(parser, 1, "WINDOW"))))
        || (is_word(word, "TRIGGER") && follows(TRIGGER_WORDS))
}

fn nth_is(parser: &Parser, n: usize, word: &str) -> bool {
    is_word(&parser.peek_nth_token_ref(n).token, word)
}

/// Reads a relation that stands as a function's argument: `TABLE t`, `TABLE (query)`, and any relation that
/// `PARTITION BY` follows.
fn relation_argument(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    let before = &parser.get_current_token().token;
    if !matches!(before, Token::LParen | Token::RArrow | Token::Assignment | Token::Comma) {
        return Ok(None);
    }
    let marked = nth_is(parser, 0, "TABLE") && *before != Token::Comma && relation_follows(parser);
    if marked {
        parser.advance_token();
    } else if !partitioned_follows(parser) {
        return Ok(None);
    }
    let relation = read_relation(parser)?;
    match read_partition(parser)? {
        Some(keys) => {
            let arguments = std::iter::once(relation).chain(keys).collect();
            Ok(Some(build::call(PARTITIONED, arguments, None)))
        }
        None => Ok(Some(relation)),
    }
}

/// Whether the word TABLE begins a relation and is not itself a column.
fn relation_follows(parser: &Parser) -> bool {
    match &parser.peek_nth_token_ref(1).token {
        Token::Word(_) => !nth_is(parser, 1, "FROM") && !nth_is(parser, 1, "AS"),
        Token::LParen => query_starts(parser, 2),
        _ => false,
    }
}

fn query_starts(parser: &Parser, n: usize) -> bool {
    ["SELECT", "WITH", "VALUES", "FROM"].iter().any(|w| nth_is(parser, n, w))
}

/// Whether `name PARTITION BY` or `(query) PARTITION BY` comes next.
fn partitioned_follows(parser: &Parser) -> bool {
    let mut n = 0;
    if parser.peek_token_ref().token == Token::LParen {
        if !query_starts(parser, 1) {
            return false;
        }
        n = match closing(|n| &parser.peek_nth_token_ref(n).token) {
            Some(close) => close + 1,
            None => return false,
        };
    } else {
        while matches!(parser.peek_nth_token_ref(n).token, Token::Word(_)) {
            n += 1;
            if parser.peek_nth_token_ref(n).token != Token::Period {
                break;
            }
            n += 1;
        }
    }
    n > 0 && nth_is(parser, n, "PARTITION") && nth_is(parser, n + 1, "BY")
}

/// The index of the parenthesis that closes the one at 0.
fn closing<'t>(token: impl Fn(usize) -> &'t Token) -> Option<usize> {
    let mut depth = 0usize;
    for n in 0.. {
        match token(n) {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.checked_sub(1)?,
            Token::EOF => return None,
            _ => {}
        }
        if depth == 0 {
            return Some(n);
        }
    }
    None
}

fn read_relation(parser: &mut Parser) -> Result<Expr, ParserError> {
    if parser.peek_token_ref().token == Token::LParen {
        let factor = parser.parse_table_factor()?;
        return match factor {
            TableFactor::Derived { subquery, alias: None, .. } => Ok(Expr::Subquery(subquery)),
            other => Ok(Expr::Subquery(build::select_star(other)?)),
        };
    }
    let name = parser.parse_object_name(false)?;
    if parser.peek_token_ref().token == Token::LParen {
        return parser.parse_function(name);
    }
    Ok(Expr::Subquery(build::select_star(build::table(name, None, None))?))
}

fn read_partition(parser: &mut Parser) -> Result<Option<Vec<Expr>>, ParserError> {
    if !parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
        return Ok(None);
    }
    if parser.peek_token_ref().token == Token::LParen {
        return parser.parse_parenthesized(|p| p.parse_comma_separated(Parser::parse_expr)).map(Some);
    }
    let mut keys = vec![parser.parse_expr()?];
    while further_key(parser) {
        parser.advance_token();
        keys.push(parser.parse_expr()?);
    }
    Ok(Some(keys))
}

/// Whether the comma that comes next continues the keys and not the function's arguments: the columns between here
/// and the time column (`DESCRIPTOR(..)`, or a named argument) can only be keys.
fn further_key(parser: &Parser) -> bool {
    let token = |n: usize| -> &TokenWithSpan { parser.peek_nth_token_ref(n) };
    let mut n = 0;
    while token(n).token == Token::Comma {
        if nth_is(parser, n + 1, "DESCRIPTOR") || is_named(&token(n + 2).token) {
            return n > 0;
        }
        if !matches!(token(n + 1).token, Token::Word(_)) {
            return false;
        }
        n += 2;
        while token(n).token == Token::Period && matches!(token(n + 1).token, Token::Word(_)) {
            n += 2;
        }
    }
    false
}

fn is_named(token: &Token) -> bool {
    matches!(token, Token::RArrow | Token::Assignment)
}
