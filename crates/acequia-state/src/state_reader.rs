//! Reading a version of the state: the segments of a manifest, merged table by table and handed on in pieces.
//!
//! What is held meanwhile is a block of a segment, and the keys of all segments but the oldest (see `merge.rs`).

use crate::merge::{Each, Merger, Remainder};
use crate::segment::Segment;
use acequia_core::state::TableDef;
use acequia_core::{Error, OperatorId, Result};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// A version of the state, to be read table by table.
#[derive(Debug)]
pub struct StateReader {
    pub(crate) segments: Vec<Segment>,
    tables: Vec<TableDef>,
}

impl StateReader {
    pub(crate) async fn open(segments: Vec<Segment>) -> Result<Self> {
        let tables = all_tables(&segments).await?;
        Ok(Self { segments, tables })
    }

    /// The tables that have been written to. One that is not here is empty.
    pub fn tables(&self) -> &[TableDef] {
        &self.tables
    }

    /// Gives the rows of a table piece by piece, in no order. A row of a keyed table comes once for its key, one of an
    /// additive table once with its whole weight. Nothing comes of a table that was never written to.
    ///
    /// # Errors
    /// `Data` naming a segment that is damaged; those of `each`.
    pub async fn rows(
        &self,
        operator: OperatorId,
        table: &str,
        each: &mut (dyn FnMut(RecordBatch) -> Result<()> + Send),
    ) -> Result<()> {
        let Some(table) = self.tables.iter().find(|t| t.operator == operator && t.name == table) else {
            return Ok(());
        };
        let merger = Merger::new(table, true)?;
        merge_table(&self.segments, table, merger, each).await.map(|_| ())
    }
}

/// Merges one table of segments that are given oldest first.
pub(crate) async fn merge_table(
    segments: &[Segment],
    table: &TableDef,
    mut merger: Merger,
    each: Each<'_>,
) -> Result<Remainder> {
    let layers = segments.iter().filter_map(|s| s.table(table.operator, &table.name).map(|index| (s, index)));
    let layers: Vec<_> = layers.collect();
    for (i, (segment, index)) in layers.iter().enumerate().rev() {
        let oldest = i == 0 && index.distinct;
        for block in &index.upserts {
            for batch in segment.read(block).await? {
                merger.upserts(batch, oldest, each)?;
            }
        }
        for block in &index.deletes {
            for batch in segment.read(block).await? {
                merger.deletes(batch, oldest)?;
            }
        }
        merger.end_layer(index.evict_below);
    }
    merger.finish(each)
}

/// The tables that segments hold, each as it is in all of them.
pub(crate) async fn all_tables(segments: &[Segment]) -> Result<Vec<TableDef>> {
    let mut tables = BTreeMap::<(OperatorId, String), TableDef>::new();
    for segment in segments {
        for index in segment.tables() {
            let def = segment.def(index).await?;
            let known = tables.entry((def.operator, def.name.clone())).or_insert_with(|| def.clone());
            if !same_shape(known, &def) {
                return Err(Error::data(format!(
                    "a table of the state has changed its columns: operator={} table=`{}`; use a new checkpoint",
                    def.operator, def.name
                )));
            }
        }
    }
    Ok(tables.into_values().collect())
}

fn same_shape(a: &TableDef, b: &TableDef) -> bool {
    let types = |t: &TableDef| t.schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
    (a.kind, a.time_column) == (b.kind, b.time_column) && types(a) == types(b)
}
