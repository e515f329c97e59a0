//! Reading a version of the state: the segments of a manifest, merged table by table and handed on in pieces.
//!
//! What is held meanwhile is a block of a segment, and the keys of all segments but the oldest (see `merge.rs`).

use crate::merge::{Each, Merger, Remainder, key_columns};
use crate::segment::Segment;
use acequia_core::state::{TableDef, TableKind};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

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
                let batch = with_all_columns(table, batch)?;
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
            if continues(known, &def) {
                *known = def;
            } else {
                return Err(Error::data(format!(
                    "a table of the state has changed its columns: operator={} table=`{}`; use a new checkpoint",
                    def.operator, def.name
                )));
            }
        }
    }
    Ok(tables.into_values().collect())
}

/// Whether a table that was saved in one form can go on in another: with the same columns, whatever their names, or
/// with more of them, which are nullable and no part of the key.
pub fn continues(saved: &TableDef, now: &TableDef) -> bool {
    (saved.kind, saved.time_column) == (now.kind, now.time_column)
        && (same_types(&saved.schema, &now.schema) || widens(saved, now))
}

fn same_types(a: &Schema, b: &Schema) -> bool {
    let types = |schema: &Schema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
    types(a) == types(b)
}

fn widens(saved: &TableDef, now: &TableDef) -> bool {
    let fixed = key_columns(now.kind, &now.schema).max(now.time_column.map_or(0, |column| column + 1));
    let leading = |table: &TableDef| table.schema.fields().iter().take(fixed).cloned().collect::<Vec<_>>();
    let kept = |field: &Arc<Field>| {
        now.schema.field_with_name(field.name()).is_ok_and(|now| now.data_type() == field.data_type())
    };
    let added = |field: &&Arc<Field>| saved.schema.field_with_name(field.name()).is_err();
    matches!(now.kind, TableKind::Keyed { .. })
        && leading(saved) == leading(now)
        && saved.schema.fields().iter().all(kept)
        && now.schema.fields().iter().filter(added).all(|field| field.is_nullable())
}

/// Rows that were saved before the table had all of its columns, NULL in those that they lack.
fn with_all_columns(table: &TableDef, rows: RecordBatch) -> Result<RecordBatch> {
    if same_types(&rows.schema(), &table.schema) {
        return Ok(rows);
    }
    let column = |field: &Arc<Field>| match rows.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), rows.num_rows()),
    };
    let columns = table.schema.fields().iter().map(column).collect();
    Ok(RecordBatch::try_new(Arc::clone(&table.schema), columns)?)
}
