//! The `WITH (...)` options of streams, sinks and queries.
//!
//! Keys are case-insensitive and a dash equals an underscore. A connector *takes* the options that it knows; what is
//! left over at [`Options::finish`] is an error that names the nearest key. `${NAME}` in a value is replaced from the
//! environment when it is taken, never when it is printed. Values of secret keys print as `****`.

use crate::{Error, Result, time::parse_interval};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a secret prints as.
pub const REDACTED: &str = "****";

const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "private_key",
    "access_key",
    "api_key",
    "sasl",
    "auth",
];

/// Options as written, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    values: IndexMap<String, String>,
    known: BTreeSet<String>,
    owner: String,
}

/// The spelling under which a key is stored: lower case, dashes as underscores.
pub fn normalize_key(key: &str) -> String {
    key.trim().to_lowercase().replace('-', "_")
}

/// Whether values of this key must never be shown.
pub fn is_secret(key: &str) -> bool {
    let key = normalize_key(key).replace('.', "_");
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// The candidate nearest to what was written, if one is near enough to be meant.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let scored =
        candidates.into_iter().map(|c| (strsim::damerau_levenshtein(&written, &c.to_lowercase()), c));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + written.chars().count() / 3).then_some(best)
}

/// An `Invalid` error for an unknown name: what it is, the nearest valid one, and all valid ones.
pub fn unknown<'a>(what: &str, written: &str, valid: impl IntoIterator<Item = &'a str> + Clone) -> Error {
    let all: Vec<_> = valid.clone().into_iter().collect();
    match nearest(written, valid) {
        Some(near) => Error::invalid(format!("unknown {what}: `{written}`; did you mean `{near}`?")),
        None if all.is_empty() => Error::invalid(format!("unknown {what}: `{written}`; there is none")),
        None => Error::invalid(format!("unknown {what}: `{written}`; valid: {}", all.join(", "))),
    }
}

impl Options {
    /// Options of a named owner (as ``stream `bids` ``), which errors then name.
    pub fn new(owner: impl Into<String>) -> Self {
        Self { owner: owner.into(), ..Self::default() }
    }

    /// Adds an option.
    ///
    /// # Errors
    /// `Invalid` when the key is there already.
    pub fn insert(&mut self, key: &str, value: impl Into<String>) -> Result<()> {
        if self.values.insert(normalize_key(key), value.into()).is_some() {
            return Err(Error::invalid(format!("option given twice: `{key}`{}", self.of())));
        }
        Ok(())
    }

    /// The same options under another owner's name.
    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    fn of(&self) -> String {
        if self.owner.is_empty() { String::new() } else { format!(" of {}", self.owner) }
    }

    /// Whether the option was given (it is not taken by asking).
    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(&normalize_key(key))
    }

    /// The value as written, without taking it.
    pub fn peek(&self, key: &str) -> Option<&str> {
        self.values.get(&normalize_key(key)).map(String::as_str)
    }

    /// Whether no option is left.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The options left, as written and in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The options left, in order, with secrets as `****`; safe to show.
    pub fn redacted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(k, v)| (k, if is_secret(k) && !is_variable(v) { REDACTED } else { v }))
    }

    /// Takes an option, `${NAME}` replaced from the environment.
    ///
    /// # Errors
    /// `Invalid` when the value names a variable that is not set.
    pub fn take(&mut self, key: &str) -> Result<Option<String>> {
        self.known.insert(normalize_key(key));
        let Some(value) = self.values.shift_remove(&normalize_key(key)) else { return Ok(None) };
        expand(&value).map(Some).map_err(|e| e.context(format!("option `{key}`{}", self.of())))
    }

    /// Takes an option that must be there.
    ///
    /// # Errors
    /// `Invalid` when it is missing; the message suggests a key that is there and is near to it.
    pub fn require(&mut self, key: &str) -> Result<String> {
        if let Some(value) = self.take(key)? {
            return Ok(value);
        }
        let hint = match nearest(key, self.values.keys().map(String::as_str)) {
            Some(near) => format!("did you mean it with `{near}`?"),
            None => format!("write {key} = '...'"),
        };
        Err(Error::invalid(format!("missing option: `{key}`{}; {hint}", self.of())))
    }

    /// Takes an option and parses it.
    ///
    /// # Errors
    /// `Invalid` naming the option, its value and what was expected.
    pub fn take_parsed<T: FromStr>(&mut self, key: &str, expected: &str) -> Result<Option<T>> {
        let Some(value) = self.take(key)? else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| self.bad_value(key, &value, expected))
    }

    /// Takes a list of names like `a, b`, if it is given.
    ///
    /// # Errors
    /// `Invalid` when a name is empty or there twice.
    pub fn take_names(&mut self, key: &str) -> Result<Option<Vec<String>>> {
        let Some(value) = self.take(key)? else { return Ok(None) };
        let names: Vec<_> = value.split(',').map(|name| name.trim().to_string()).collect();
        let repeated = names.iter().enumerate().any(|(i, name)| names[..i].contains(name));
        if repeated || names.iter().any(String::is_empty) {
            return Err(self.bad_value(key, &value, "different column names with commas between"));
        }
        Ok(Some(names))
    }

    /// Takes `true` or `false`; `default` when not given.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn take_bool(&mut self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.take(key)? else { return Ok(default) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(self.bad_value(key, &value, "true or false")),
        }
    }

    /// Takes a count that must be at least 1.
    ///
    /// # Errors
    /// `Invalid` when it is no positive whole number.
    pub fn take_count(&mut self, key: &str) -> Result<Option<u64>> {
        const EXPECTED: &str = "a whole number of at least 1";
        match self.take_parsed::<u64>(key, EXPECTED)? {
            Some(0) => Err(self.bad_value(key, "0", EXPECTED)),
            other => Ok(other),
        }
    }

    /// Takes an interval, as `10 seconds`; never negative.
    ///
    /// # Errors
    /// `Invalid` when it is none.
    pub fn take_interval(&mut self, key: &str) -> Result<Option<Duration>> {
        let Some(value) = self.take(key)? else { return Ok(None) };
        let micros = parse_interval(&value).map_err(|e| e.context(format!("option `{key}`{}", self.of())))?;
        let micros = u64::try_from(micros)
            .map_err(|_| self.bad_value(key, &value, "an interval that is not negative"))?;
        Ok(Some(Duration::from_micros(micros)))
    }

    /// Takes one of some words (case does not matter); the first is the default.
    ///
    /// # Errors
    /// `Invalid` naming the nearest word.
    pub fn take_word<'a>(&mut self, key: &str, words: &[&'a str]) -> Result<&'a str> {
        let Some(value) = self.take(key)? else { return Ok(words[0]) };
        let written = normalize_key(&value);
        let found = words.iter().find(|w| normalize_key(w) == written);
        found.copied().ok_or_else(|| {
            unknown(&format!("value of option `{key}`{}", self.of()), &value, words.iter().copied())
        })
    }

    /// An `Invalid` error about a value.
    pub fn bad_value(&self, key: &str, value: &str, expected: &str) -> Error {
        let value = if is_secret(key) { REDACTED } else { value };
        Error::invalid(format!("option `{key}`{} must be {expected}: `{value}`", self.of()))
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// `Invalid` naming an option that nobody took, and the nearest one that somebody would.
    pub fn finish(self) -> Result<()> {
        let Some(key) = self.values.keys().next() else { return Ok(()) };
        Err(unknown(&format!("option{}", self.of()), key, self.known.iter().map(String::as_str)))
    }
}

fn is_variable(value: &str) -> bool {
    value.starts_with("${") && value.ends_with('}')
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment, for ${NAME} in options"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Replaces each `${NAME}` by the environment variable of that name.
fn expand(value: &str) -> Result<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + length];
        out.push_str(&rest[..start]);
        out.push_str(
            &variable(name)
                .ok_or_else(|| Error::invalid(format!("environment variable is not set: `{name}`")))?,
        );
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.redacted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::new("stream `s`");
        for (k, v) in pairs {
            options.insert(k, *v).unwrap();
        }
        options
    }

    #[test]
    fn unknown_option_names_the_nearest_known_one() {
        let mut o = options(&[("pth", "x")]);
        o.take("path").unwrap();
        o.take("format").unwrap();
        assert_eq!(
            o.finish().unwrap_err().message(),
            "unknown option of stream `s`: `pth`; did you mean `path`?"
        );
    }

    #[test]
    fn missing_option_says_what_it_may_have_been_called() {
        let mut o = options(&[("pathh", "x")]);
        let message = o.require("path").unwrap_err().message().to_string();
        assert_eq!(message, "missing option: `path` of stream `s`; did you mean it with `pathh`?");
    }

    #[test]
    fn secrets_are_never_shown() {
        let o = options(&[("sasl.password", "hunter2"), ("path", "p"), ("api-key", "${KEY}")]);
        let text = format!("{o:?}");
        assert!(!text.contains("hunter2") && text.contains(REDACTED) && text.contains("${KEY}"), "{text}");
    }

    #[test]
    fn unset_variable_is_named() {
        let mut o = options(&[("path", "${ACEQUIA_TEST_NOT_SET}/x")]);
        assert!(o.take("path").unwrap_err().message().contains("`ACEQUIA_TEST_NOT_SET`"));
    }

    #[test]
    fn values_are_checked() {
        let mut o = options(&[("n", "0"), ("b", "maybe"), ("i", "-1 second"), ("w", "jsn")]);
        assert!(o.take_count("n").is_err());
        assert!(o.take_bool("b", true).is_err());
        assert!(o.take_interval("i").is_err());
        assert!(o.take_word("w", &["json", "csv"]).unwrap_err().message().contains("did you mean `json`"));
    }
}
