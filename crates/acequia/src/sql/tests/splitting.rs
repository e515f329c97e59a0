//! Cutting a text into statements, their texts, places and comments.

use super::*;
use acequia_core::{ErrorKind, Location};

#[test]
fn statements_keep_text_place_number_and_comments() {
    let text = "-- sort: rows\n  -- error:  no such  \nSELECT ';' ; /* ; */ -- trailing\n\n-- next\nSHOW /* in */ STREAMS";
    let all: Vec<_> = parse(text).map(Result::unwrap).collect();
    let seen: Vec<_> = all
        .iter()
        .map(|s| {
            (s.text.as_str(), s.location.line, s.location.column, s.leading_comments.join("|"), s.number)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("SELECT ';'", 3, 1, "sort: rows|error:  no such".to_string(), 1),
            ("SHOW /* in */ STREAMS", 6, 1, "next".to_string(), 2),
        ]
    );
}

#[test]
fn empty_statements_do_not_count() {
    assert_eq!(split(" ; ;; -- nothing\n ; /* x */ ").len(), 0);
    assert_eq!(parse(";;SELECT 1;;SELECT 2;").map(|s| s.unwrap().number).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn parsing_ends_at_the_first_error_but_not_before() {
    let results: Vec<_> = parse("SELECT 1; SELEC 2; SELECT 3").collect();
    assert_eq!(results.len(), 2);
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().location(), Some(Location { line: 1, column: 11 }));
}

#[test]
fn split_gives_the_comments_of_a_statement_that_does_not_parse() {
    let all = split("-- error: unknown statement\nSELEC 2;\nSELECT 3");
    assert_eq!(all[0].leading_comments, ["error: unknown statement"]);
    assert_eq!(all[0].parse().unwrap_err().kind(), ErrorKind::Invalid);
    assert!(all[1].parse().is_ok());
}

#[test]
fn unterminated_string_spoils_only_its_own_statement() {
    let results: Vec<_> = parse("SELECT 1;\nSELECT 'a; SELECT 2;").collect();
    assert!(results[0].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "unterminated string literal (line 2, column 8)");
    assert_eq!(results.len(), 2);
}

#[test]
fn unicode_text_is_cut_at_characters() {
    let all: Vec<_> = parse("SELECT 'žluťoučký 🐎' AS \"名前\"; SELECT 2").map(Result::unwrap).collect();
    assert_eq!(all[0].text, "SELECT 'žluťoučký 🐎' AS \"名前\"");
    assert_eq!((all[1].text.as_str(), all[1].location.column), ("SELECT 2", 31));
}

#[test]
fn is_complete_sees_only_a_semicolon_outside_of_strings_and_comments() {
    for text in ["SELECT 1;", "SELECT 1; -- done", "SELECT ';' ; /* x */ ", ";", "SELECT 1 + ;"] {
        assert!(is_complete(text), "{text}");
    }
    for text in [
        "",
        "-- x;",
        "SELECT 1",
        "SELECT ';",
        "SELECT ';'",
        "SELECT 1 /* ; ",
        "SELECT 1 /* a /* b */ ;",
        "SELECT \"a;",
        "SELECT `a;",
        "SELECT 1; SELECT 2",
        "SELECT $$ a;",
    ] {
        assert!(!is_complete(text), "{text}");
    }
}
