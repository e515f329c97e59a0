//! What may come at a place of a text, from the words of SQL and the names of the session.

use super::commands::COMMANDS;
use super::context::{Context, Inside, unquoted};
use super::help;
use super::words::{AFTER, CLAUSES, COLUMNS, STATEMENTS};
use acequia::Session;
use acequia_connectors::words::{
    OptionWords, sink_connectors, sink_options, source_connectors, source_options,
};
use rustyline::completion::FilenameCompleter;
use std::collections::BTreeSet;
use tokio::runtime::Handle;

/// Functions that stand in FROM and are words of SQL rather than functions of the session.
const FROM_FUNCTIONS: &[&str] =
    &["TUMBLE", "HOP", "CUMULATE", "SESSION", "drop_duplicates", "drop_duplicates_within_watermark"];

/// Group functions that SQL rewrites before the session sees them.
const GROUP_FUNCTIONS: &[&str] = &["tumble", "hop", "session"];

/// Settings of the session beside DataFusion's own, with their values where these are words.
const SETTINGS: &[(&str, &[&str])] =
    &[("acequia.shards", &["auto"]), ("acequia.watermark.policy", &["max", "min"])];

/// Something that may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// How it is listed.
    pub(super) shown: String,
    /// What is put in the place of what was typed.
    pub(super) text: String,
}

/// Finds candidates.
pub(super) struct Completer {
    session: Session,
    runtime: Handle,
    files: FilenameCompleter,
}

impl Completer {
    /// One for the names of this session; tables are asked for their columns on this runtime.
    pub(super) fn new(session: Session, runtime: Handle) -> Self {
        Self { session, runtime, files: FilenameCompleter::new() }
    }

    /// Where the typed word begins, and what may take its place.
    pub(super) fn complete(&self, text: &str, position: usize) -> (usize, Vec<Candidate>) {
        if text.starts_with('\\') {
            return self.command(text.get(..position).unwrap_or(text));
        }
        let context = Context::new(text, position);
        let mut found = Found::new(&context);
        match context.inside {
            Inside::Other => {}
            Inside::String => return self.string(&context, found),
            Inside::Word => self.word(&context, &mut found),
        }
        (context.start, found.candidates())
    }

    fn command(&self, typed: &str) -> (usize, Vec<Candidate>) {
        let Some((name, rest)) = typed.split_once(' ') else {
            let names = COMMANDS.iter().map(|command| command.name).filter(|name| name.starts_with(typed));
            return (0, names.map(|name| Candidate { shown: name.into(), text: name.into() }).collect());
        };
        let start = typed.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let words: Vec<String> = match name {
            "\\h" | "\\?" => help::names(),
            "\\d" => self.names(&[Names::Relations, Names::Sinks]),
            "\\timing" | "\\x" => vec!["on".into(), "off".into()],
            "\\i" => return self.file(typed, typed.len()),
            _ => vec![],
        };
        let fits = |word: &String| word.to_lowercase().starts_with(&rest.to_lowercase());
        (start, words.into_iter().filter(fits).map(|w| Candidate { shown: w.clone(), text: w }).collect())
    }

    fn string(&self, context: &Context<'_>, mut found: Found<'_>) -> (usize, Vec<Candidate>) {
        let close = |words: Vec<&str>, found: &mut Found<'_>| {
            words.into_iter().for_each(|word| found.add(word, format!("{word}'")));
        };
        let function = context.function().to_ascii_lowercase();
        if context.in_options() {
            let key = context.option_key();
            if key.is_empty() {
                options(context)
                    .iter()
                    .for_each(|option| found.add(option.name, format!("{}'", option.name)));
            } else if ["path", "checkpoint", "location"].contains(&key.as_str()) {
                return self.file(context.typed, context.start + context.typed.len());
            } else if key.eq_ignore_ascii_case("connector") {
                close(if is_sink(context) { sink_connectors() } else { source_connectors() }, &mut found);
            } else if let Some(option) = all_options(context).into_iter().find(|option| option.name == key) {
                close(option.values.to_vec(), &mut found);
            }
        } else if function == "progress" || function == "state" {
            let queries = self.names(&[Names::Queries]);
            close(queries.iter().map(String::as_str).collect(), &mut found);
        } else if context.begins_with(&["SET"]) {
            let setting = context.since(&["SET"]);
            let setting = setting.trim().trim_end_matches('=').trim_end();
            close(setting_values(setting).to_vec(), &mut found);
        } else if ["FROM", "JOIN", "LOCATION", "TO"].iter().any(|word| context.ends_with(&[word])) {
            return self.file(context.typed, context.start + context.typed.len());
        }
        (context.start, found.candidates())
    }

    /// Files whose name begins as typed; `end` is where the typed text ends.
    fn file(&self, typed: &str, end: usize) -> (usize, Vec<Candidate>) {
        let Ok((start, pairs)) = self.files.complete_path(typed, typed.len()) else { return (end, vec![]) };
        let candidate =
            |pair: rustyline::completion::Pair| Candidate { shown: pair.display, text: pair.replacement };
        (end - (typed.len() - start), pairs.into_iter().map(candidate).collect())
    }

    fn word(&self, context: &Context<'_>, found: &mut Found<'_>) {
        if context.begins_with(&["SET"]) && !context.is_first() {
            return self.setting(context, found);
        }
        if context.back(1) == "." {
            return self.columns_of(context.back(2), context).iter().for_each(|c| found.name(c));
        }
        if context.in_options() {
            if matches!(context.back(1), "(" | ",") {
                options(context)
                    .iter()
                    .for_each(|option| found.add(option.name, format!("{} = '", option.name)));
            }
            return;
        }
        if context.is_first() {
            return found.keywords(STATEMENTS);
        }
        if let Some((_, words)) = AFTER.iter().find(|(before, _)| context.ends_with(before)) {
            return found.keywords(words);
        }
        if self.name(context, found) {
            return;
        }
        if context.in_columns() {
            return found.keywords(COLUMNS);
        }
        if context.begins_with(&["CREATE"]) && !context.has_before("SELECT") {
            return found.keywords(&[
                "WITH",
                "AS",
                "SELECT",
                "IF NOT EXISTS",
                "STORED AS",
                "LOCATION",
                "OPTIONS",
            ]);
        }
        for column in self.columns_in_sight(context) {
            found.name(&column);
        }
        if !context.typed.is_empty() {
            for function in self.functions() {
                let text = if context.in_capitals() { function.to_uppercase() } else { function.clone() };
                found.add(&function, format!("{text}("));
            }
        }
        found.keywords(CLAUSES);
    }

    /// What may come in `SET name = value`.
    fn setting(&self, context: &Context<'_>, found: &mut Found<'_>) {
        let typed = context.since(&["SET"]);
        let typed = typed.trim_start();
        match typed.trim_end().strip_suffix('=') {
            Some(name) => {
                let values = setting_values(name.trim_end());
                values.iter().for_each(|value| found.add(value, format!("'{value}'")));
            }
            None => {
                if typed.is_empty() {
                    found.add("datafusion.", "datafusion.".to_string());
                }
                let state = self.session.context().state();
                let entries = state.config_options().entries();
                let theirs = entries.iter().map(|entry| entry.key.as_str()).filter(|_| !typed.is_empty());
                let names = SETTINGS.iter().map(|(name, _)| *name).chain(theirs);
                let rests = names.filter_map(|name| name.strip_prefix(typed));
                rests.for_each(|rest| found.add(rest, format!("{rest} = ")));
            }
        }
    }

    /// Names where only a name can stand.
    fn name(&self, context: &Context<'_>, found: &mut Found<'_>) -> bool {
        let after = |words: &[&str]| {
            context.ends_with(words) || context.ends_with(&[words, &["IF", "EXISTS"]].concat())
        };
        let names: &[Names] = if after(&["STOP", "QUERY"]) {
            &[Names::Queries]
        } else if after(&["DROP", "STREAM"]) {
            &[Names::Streams]
        } else if after(&["SINK"]) && !context.begins_with(&["CREATE"]) {
            &[Names::Sinks]
        } else if context.ends_with(&["INTO"]) {
            &[Names::Sinks, Names::Streams, Names::Tables]
        } else if ["DESCRIBE", "DESC", "EXTENDED"].iter().any(|word| context.ends_with(&[word]))
            || ["STREAM", "TABLE", "VIEW"].iter().any(|word| context.ends_with(&["SHOW", "CREATE", word]))
        {
            &[Names::Relations, Names::Sinks]
        } else if ["FROM", "JOIN"].iter().any(|word| context.ends_with(&[word])) {
            for name in FROM_FUNCTIONS {
                let text = if context.in_capitals() { (*name).to_string() } else { name.to_lowercase() };
                found.add(&text, format!("{text}("));
            }
            ["progress", "state"].iter().for_each(|name| found.add(name, format!("{name}('")));
            found.keywords(&["STREAM"]);
            &[Names::Relations]
        } else if context.begins_with(&["CREATE"]) && !context.has_before("SELECT") {
            return false;
        } else if ["STREAM", "TABLE", "VIEW"].iter().any(|word| after(&[word])) {
            &[Names::Relations]
        } else {
            return false;
        };
        self.names(names).iter().for_each(|name| found.name(name));
        true
    }

    fn names(&self, kinds: &[Names]) -> Vec<String> {
        let catalog = self.session.catalog();
        let mut all = BTreeSet::new();
        for kind in kinds {
            match kind {
                Names::Streams => all.extend(catalog.streams().iter().map(|s| s.name().to_string())),
                Names::Sinks => all.extend(catalog.sinks().iter().map(|s| s.name().to_string())),
                Names::Queries => {
                    all.extend(self.session.active_queries().iter().map(|q| q.handle.name().to_string()));
                }
                Names::Relations => all.extend(self.tables()),
                Names::Tables => {
                    let streams = catalog.streams();
                    let is_stream = |name: &String| streams.iter().any(|s| s.name() == name);
                    all.extend(self.tables().into_iter().filter(|name| !is_stream(name)));
                }
            }
        }
        all.into_iter().collect()
    }

    /// Streams, tables and views.
    fn tables(&self) -> Vec<String> {
        let context = self.session.context();
        let schemas = context.catalog_names().into_iter().filter_map(|name| context.catalog(&name));
        let schemas = schemas.flat_map(|catalog| {
            let names = catalog.schema_names().into_iter().filter(|name| name != "information_schema");
            names.filter_map(|name| catalog.schema(&name)).collect::<Vec<_>>()
        });
        schemas.flat_map(|schema| schema.table_names()).collect()
    }

    /// The columns of a table, stream or view.
    fn columns(&self, table: &str) -> Vec<String> {
        let quoted = format!("\"{}\"", table.replace('"', "\"\""));
        let provider = self.runtime.block_on(self.session.context().table_provider(quoted));
        provider.map_or(vec![], |t| t.schema().fields().iter().map(|f| f.name().clone()).collect())
    }

    /// The relations that a statement names, each with its alias.
    fn named(&self, context: &Context<'_>) -> Vec<(String, String)> {
        let tables = self.tables();
        let named = context.names().filter_map(|(word, alias)| {
            let name =
                if word.starts_with(['"', '`']) { unquoted(word).to_string() } else { word.to_lowercase() };
            let alias = alias.unwrap_or_default().to_lowercase();
            tables.contains(&name).then_some((name, alias))
        });
        named.collect()
    }

    fn columns_in_sight(&self, context: &Context<'_>) -> BTreeSet<String> {
        self.named(context).iter().flat_map(|(name, _)| self.columns(name)).collect()
    }

    /// What may follow `name.`: the columns of the table or alias; a window's ends.
    fn columns_of(&self, name: &str, context: &Context<'_>) -> Vec<String> {
        let name = unquoted(name).to_lowercase();
        let named = self.named(context);
        if let Some((table, _)) = named.iter().find(|(table, alias)| *table == name || *alias == name) {
            return self.columns(table);
        }
        if name == "window" || name == "session_window" { vec!["start".into(), "end".into()] } else { vec![] }
    }

    fn functions(&self) -> BTreeSet<String> {
        let state = self.session.context().state();
        let scalar = state.scalar_functions().keys().cloned();
        let aggregate = state.aggregate_functions().keys().cloned();
        let window = state.window_functions().keys().cloned();
        let all =
            scalar.chain(aggregate).chain(window).chain(GROUP_FUNCTIONS.iter().map(|f| (*f).to_string()));
        all.filter(|name| !name.starts_with("__")).collect()
    }
}

fn setting_values(name: &str) -> &'static [&'static str] {
    let setting = SETTINGS.iter().find(|(setting, _)| setting.eq_ignore_ascii_case(name));
    setting.map_or(&[], |(_, values)| values)
}

/// Kinds of names.
#[derive(Debug, Clone, Copy)]
enum Names {
    Streams,
    Sinks,
    Queries,
    /// Static tables and views.
    Tables,
    /// All that can stand in FROM.
    Relations,
}

fn is_sink(context: &Context<'_>) -> bool {
    context.begins_with(&["CREATE", "SINK"]) || context.begins_with(&["CREATE", "OR", "REPLACE", "SINK"])
}

/// The options of the statement's connector, or those of a query.
fn all_options(context: &Context<'_>) -> Vec<OptionWords> {
    let of_query = ["name", "checkpoint", "key"].map(|name| OptionWords { name, values: &[] });
    if !context.begins_with(&["CREATE"]) || context.has_before("SELECT") {
        return of_query.to_vec();
    }
    let given = context.options();
    let connector = given.iter().find(|(key, _)| key.eq_ignore_ascii_case("connector"));
    let connector = connector.map_or("", |(_, value)| value.as_str());
    let own = if is_sink(context) { sink_options(connector) } else { source_options(connector) };
    [OptionWords { name: "connector", values: &[] }].into_iter().chain(own).collect()
}

/// Those that are not given yet.
fn options(context: &Context<'_>) -> Vec<OptionWords> {
    let given = context.options();
    let is_new = |option: &OptionWords| !given.iter().any(|(key, _)| key.eq_ignore_ascii_case(option.name));
    all_options(context).into_iter().filter(is_new).collect()
}

/// Candidates that fit what has been typed.
struct Found<'a> {
    typed: &'a str,
    capitals: bool,
    candidates: Vec<Candidate>,
}

impl<'a> Found<'a> {
    fn new(context: &Context<'a>) -> Self {
        Self { typed: context.typed, capitals: context.in_capitals(), candidates: vec![] }
    }

    /// A candidate that is listed under a word, if what has been typed is its beginning.
    fn add(&mut self, word: &str, text: String) {
        let head = word.get(..self.typed.len()).unwrap_or_default();
        if head.len() == self.typed.len() && head.eq_ignore_ascii_case(self.typed) {
            self.candidates.push(Candidate { shown: word.to_string(), text });
        }
    }

    /// A name, quoted where it must be.
    fn name(&mut self, name: &str) {
        let plain = name.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let text = if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) };
        self.add(name, text);
    }

    /// Keywords in the case that the user types.
    fn keywords(&mut self, words: &[&str]) {
        for word in words {
            let text = if self.capitals { (*word).to_string() } else { word.to_lowercase() };
            self.add(&text.clone(), text);
        }
    }

    fn candidates(mut self) -> Vec<Candidate> {
        self.candidates.sort_by(|a, b| a.text.cmp(&b.text));
        self.candidates.dedup_by(|a, b| a.text == b.text);
        self.candidates
    }
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
