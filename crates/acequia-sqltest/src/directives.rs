//! Comments that steer the statement right below them.
//!
//! | comment | meaning |
//! |---|---|
//! | `-- error: text` | the statement fails, and its message contains the text |
//! | `-- sort: rows` | the rows of the statement's result are sorted: SQL promises them in no order |
//! | `-- oracle: off reason` | the continuous query of the statement has no batch answer to be compared with, because of the reason |
//! | `-- skip: reason` | on the first statement: the file cannot run here, because of the reason |
//!
//! Any other comment is a comment.

use acequia::{Error, Result};

/// What the comments above a statement say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// What the error of the statement contains.
    pub error: Option<String>,
    /// Whether rows of a result are sorted.
    pub sort_rows: bool,
    /// Why the batch oracle is off for the statement's query.
    pub oracle_off: Option<String>,
    /// Why the file is skipped.
    pub skip: Option<String>,
}

impl Directives {
    /// Reads the comments, given without dashes.
    ///
    /// # Errors
    /// `Invalid` for a directive that says nothing, or not what it may say.
    pub fn of(comments: &[String]) -> Result<Self> {
        let mut directives = Self::default();
        for comment in comments {
            let Some((word, rest)) = comment.split_once(':') else { continue };
            let rest = rest.trim();
            match word {
                "error" => directives.error = Some(given(comment, rest, "the text of the error")?),
                "sort" if rest == "rows" => directives.sort_rows = true,
                "sort" => return Err(malformed(comment, "-- sort: rows")),
                "oracle" => match rest.strip_prefix("off") {
                    Some(reason) => {
                        directives.oracle_off = Some(given(comment, reason.trim(), "the reason")?);
                    }
                    None => return Err(malformed(comment, "-- oracle: off <reason>")),
                },
                "skip" => directives.skip = Some(given(comment, rest, "the reason")?),
                _ => {}
            }
        }
        Ok(directives)
    }
}

fn given(comment: &str, text: &str, what: &str) -> Result<String> {
    if text.is_empty() {
        return Err(Error::invalid(format!("directive lacks {what}: `-- {comment}`")));
    }
    Ok(text.to_string())
}

fn malformed(comment: &str, form: &str) -> Error {
    Error::invalid(format!("not a directive: `-- {comment}`; write `{form}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(comments: &[&str]) -> Result<Directives> {
        Directives::of(&comments.iter().map(|c| c.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn comments_steer() {
        let found = of(&["why: because", "error: no such column: `x`", "sort: rows"]).unwrap();
        assert_eq!(found.error.as_deref(), Some("no such column: `x`"));
        assert!(found.sort_rows);
        assert_eq!(
            of(&["oracle: off it reads the clock"]).unwrap().oracle_off.as_deref(),
            Some("it reads the clock")
        );
        assert_eq!(of(&["a comment", "sorted: no"]).unwrap(), Directives::default());
    }

    #[test]
    fn directives_without_their_text_are_refused() {
        for comment in ["error:", "oracle: off", "oracle: on", "sort: columns", "skip:"] {
            assert!(of(&[comment]).is_err(), "{comment}");
        }
    }
}
