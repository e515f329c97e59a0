//! Queries, their clauses and their canonical forms.

use super::*;

#[test]
fn clauses_follow_a_query_in_any_order() {
    check(&[
        ("SELECT 1", "SELECT 1"),
        ("SELECT * FROM t EMIT APPEND", "SELECT * FROM t | APPEND @1:17"),
        (
            "INSERT INTO k SELECT * FROM t EMIT UPDATE TRIGGER EVERY '5 seconds' WITH (name = 'q', checkpoint = 'c/q')",
            "insert into k []: SELECT * FROM t | UPDATE @1:31 | ProcessingTime(5s) @1:43 | {\"name\": \"q\", \"checkpoint\": \"c/q\"}",
        ),
    ]);
}
