//! Named things of a session: streams (of rows or of changes), sinks, materialized views.

mod changelog;
mod sink;
mod stream;
mod view;

pub use changelog::Changelog;
pub use sink::SinkDefinition;
pub(crate) use stream::normalize;
pub use stream::{Stream, StreamScan, StreamTable};
pub use view::{MaterializedTable, ViewDefinition};

use acequia_core::{Error, Result, options::unknown};
use indexmap::IndexMap;
use parking_lot::RwLock;
use std::sync::Arc;

/// The streams and sinks of a session, by name. Static tables and views live in DataFusion's own catalog.
#[derive(Debug, Default)]
pub struct Catalog {
    streams: RwLock<IndexMap<String, Arc<Stream>>>,
    sinks: RwLock<IndexMap<String, Arc<SinkDefinition>>>,
    views: RwLock<IndexMap<String, Arc<MaterializedTable>>>,
}

macro_rules! named {
    ($what:literal, $field:ident, $type:ty, $get:ident, $find:ident, $put:ident, $remove:ident, $all:ident) => {
        impl Catalog {
            #[doc = concat!("The ", $what, " of this name.")]
            ///
            /// # Errors
            /// `Invalid` when there is none, naming the nearest.
            pub fn $get(&self, name: &str) -> Result<Arc<$type>> {
                let all = self.$field.read();
                all.get(name).cloned().ok_or_else(|| unknown($what, name, all.keys().map(String::as_str)))
            }

            #[doc = concat!("The ", $what, " of this name, if there is one.")]
            pub fn $find(&self, name: &str) -> Option<Arc<$type>> {
                self.$field.read().get(name).cloned()
            }

            #[doc = concat!("Adds or replaces a ", $what, ".")]
            pub fn $put(&self, item: Arc<$type>) {
                self.$field.write().insert(item.name().to_string(), item);
            }

            #[doc = concat!("Removes the ", $what, " of this name.")]
            pub fn $remove(&self, name: &str) -> Option<Arc<$type>> {
                self.$field.write().shift_remove(name)
            }

            #[doc = concat!("Every ", $what, ", in the order of creation.")]
            pub fn $all(&self) -> Vec<Arc<$type>> {
                self.$field.read().values().cloned().collect()
            }
        }
    };
}

named!("stream", streams, Stream, stream, find_stream, put_stream, remove_stream, streams);
named!("sink", sinks, SinkDefinition, sink, find_sink, put_sink, remove_sink, sinks);
named!("materialized view", views, MaterializedTable, view, find_view, put_view, remove_view, views);

impl Catalog {
    /// Checks that nothing else has this name yet.
    ///
    /// # Errors
    /// `Invalid` naming what has it.
    pub fn check_free(&self, name: &str) -> Result<()> {
        let taken =
            |what: &str| Err(Error::invalid(format!("name is taken by a {what}: `{name}`; drop it first")));
        if self.find_stream(name).is_some() {
            return taken("stream");
        }
        if self.find_sink(name).is_some() {
            return taken("sink");
        }
        if self.find_view(name).is_some() {
            return taken("materialized view");
        }
        Ok(())
    }
}
