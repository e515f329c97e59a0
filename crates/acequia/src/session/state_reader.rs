//! `read_state()`: the state in a checkpoint as tables.

use super::{DataFrame, Session};
use crate::runtime::CheckpointPlace;
use acequia_core::state::TableDef;
use acequia_core::{BatchId, Error, OperatorId, Result};
use acequia_state::{History, StateReader};
use std::path::Path;

/// Describes a table of a query's state; [`DataStateReader::load`] reads it.
#[derive(Debug, Clone)]
pub struct DataStateReader {
    session: Session,
    checkpoint: String,
    batch: Option<BatchId>,
    operator: Option<OperatorId>,
    table: Option<String>,
}

impl Session {
    /// A reader of the state that the query of a checkpoint had after any batch that the checkpoint still knows: the
    /// last 100. The query may be running, and is not disturbed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> acequia::Result<()> {
    /// # use acequia::prelude::*;
    /// # let session = Session::new()?;
    /// # let dir = tempfile::tempdir()?;
    /// # let checkpoint = dir.path().to_string_lossy().into_owned();
    /// session.sql("CREATE STREAM clicks (url VARCHAR)").await?;
    /// let counts = session.table("clicks").await?.group_by(vec![col("url")]).count()?;
    /// let writer = counts.write_stream().format("blackhole").output_mode(OutputMode::Update);
    /// let query = writer.checkpoint(checkpoint.clone()).start().await?;
    /// session.sql("INSERT INTO clicks VALUES ('/cart'), ('/')").await?;
    /// query.process_all_available().await?;
    /// let groups = session.read_state(checkpoint).load().await?.collect().await?;
    /// assert_eq!(groups.iter().map(|rows| rows.num_rows()).sum::<usize>(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_state(&self, checkpoint: impl Into<String>) -> DataStateReader {
        let (session, checkpoint) = (self.clone(), checkpoint.into());
        DataStateReader { session, checkpoint, batch: None, operator: None, table: None }
    }
}

impl DataStateReader {
    /// The state after this batch; after the last one by default.
    #[must_use]
    pub fn batch(mut self, batch: BatchId) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The number of the operator, as `EXPLAIN STREAMING` shows it behind its name; needed where several have state.
    #[must_use]
    pub fn operator(mut self, operator: u32) -> Self {
        self.operator = Some(OperatorId(operator));
        self
    }

    /// The table, as a variable of a processor; needed where the operator has several.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// The rows of the table.
    ///
    /// # Errors
    /// `Invalid` when the checkpoint has no such batch or table, or several tables of which none is chosen, naming
    /// them; `Data` for damage.
    pub async fn load(self) -> Result<DataFrame> {
        // Opening a directory would make it.
        if !self.checkpoint.contains("://") && !Path::new(&self.checkpoint).is_dir() {
            return Err(Error::invalid(format!("there is no checkpoint: path=`{}`", self.checkpoint)));
        }
        let place = CheckpointPlace::open(&self.checkpoint, &self.session.inner.disk)?;
        let read = History::new(place.store, place.prefix).state(self.batch).await;
        let (_, reader) = read.map_err(|e| e.context(format!("checkpoint `{}`", self.checkpoint)))?;
        let table = self.chosen(&reader)?;
        let mut rows = Vec::new();
        let mut each = |batch| {
            rows.push(batch);
            Ok(())
        };
        reader.rows(table.operator, &table.name, &mut each).await?;
        self.session.create_data_frame(table.schema, rows)
    }

    fn chosen(&self, reader: &StateReader) -> Result<TableDef> {
        let fits = |table: &&TableDef| {
            self.operator.is_none_or(|operator| operator == table.operator)
                && self.table.as_ref().is_none_or(|name| *name == table.name)
        };
        let found: Vec<&TableDef> = reader.tables().iter().filter(fits).collect();
        if let [table] = found[..] {
            return Ok(table.clone());
        }
        let names: Vec<String> =
            reader.tables().iter().map(|table| format!("{}#{}", table.name, table.operator)).collect();
        let what =
            if found.is_empty() { "no table of the state is" } else { "several tables of the state are" };
        Err(Error::invalid(format!("{what} of this operator and name: tables=[{}]", names.join(", "))))
    }
}
