//! Operators that keep rows as they are: all of them for `COMPLETE`, and the first to come for LIMIT.

use super::build::{Builder, Change, Part, has_operator, leaf};
use super::explain;
use super::fingerprint::fingerprint;
use super::node::{Description, Island, Node, OperatorNode};
use super::recompute::Rows;
use super::refuse;
use crate::error::from_datafusion;
use crate::exec::{FirstRowsOperator, FirstRowsSpec, MaterializeOperator, MaterializeSpec};
use acequia_core::Result;
use datafusion::logical_expr::{FetchType, LogicalPlan, SkipType};

impl Builder<'_> {
    /// What `COMPLETE` gives of a part: what operators below keep as changes, whole. Rows that only pass are not kept.
    pub(super) async fn complete(&mut self, part: Part, plan: &LogicalPlan) -> Result<Part> {
        match part.change {
            Change::InsertOnly if !has_operator(&part) => Err(refuse::nothing_kept()),
            Change::InsertOnly | Change::Retracting => self.materialize(part, plan).await,
            _ => Ok(part),
        }
    }

    /// A part that gives all its rows in every batch.
    pub(super) async fn kept_whole(&mut self, part: Part, plan: &LogicalPlan) -> Result<Part> {
        match part.change {
            Change::Snapshot | Change::Static => Ok(part),
            _ => self.materialize(part, plan).await,
        }
    }

    /// The rows of a part, kept and given whole every batch. They have the names of this node's.
    pub(super) async fn materialize(&mut self, part: Part, plan: &LogicalPlan) -> Result<Part> {
        let retracting = part.change == Change::Retracting;
        let mut rows = Rows::of(part.plan, retracting, &[])?;
        let template = self.template(&rows.weighted(retracting)?).await?;
        let schema = rows.schema_in(&template)?;
        let id = self.next_id();
        let spec = MaterializeSpec { operator: id, schema, retracting };
        let node = OperatorNode {
            id,
            name: "materialize",
            fingerprint: fingerprint("materialize", plan, &[]),
            description: explain::materialized(),
            operator: Box::new(MaterializeOperator::try_new(spec)?),
            inputs: vec![Island { template, inputs: part.inputs }],
        };
        let (plan, slot) =
            leaf(rows.names(), format!("__materialize_{id}"), &node.operator.output_schema(), vec![])?;
        rows.plan = plan.clone();
        Ok(Part {
            plan: rows.without_computed(plan)?,
            inputs: vec![(slot, Node::Operator(node))],
            change: Change::Snapshot,
        })
    }

    /// LIMIT over rows that are only added.
    pub(super) async fn first_rows(&mut self, plan: &LogicalPlan, part: Part) -> Result<Part> {
        let LogicalPlan::Limit(limit) = plan else { return Err(refuse::node(plan)) };
        let (skip, fetch) = match (limit.get_skip_type(), limit.get_fetch_type()) {
            (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => (skip, fetch),
            (Err(e), _) | (_, Err(e)) => return Err(from_datafusion(e)),
            _ => return Err(refuse::node(plan)),
        };
        let mut rows = Rows::of(part.plan, false, &[])?;
        let template = self.template(&rows.plan).await?;
        let schema = rows.schema_in(&template)?;
        let id = self.next_id();
        let name = "first_rows";
        let spec = FirstRowsSpec { operator: id, schema, skip, fetch };
        let given = fetch.map_or("all others".to_string(), |fetch| format!("the next {fetch}"));
        let node = OperatorNode {
            id,
            name,
            fingerprint: format!(
                "{} skip={skip} fetch={fetch:?}",
                fingerprint(name, limit.input.as_ref(), &[])
            ),
            description: Description::bounded(format!(
                "skips={skip} rows, emits={given} in the order in which they come, keeps=a count"
            )),
            operator: Box::new(FirstRowsOperator::new(spec)),
            inputs: vec![Island { template, inputs: part.inputs }],
        };
        let (plan, slot) =
            leaf(rows.names(), format!("__{name}_{id}"), &node.operator.output_schema(), vec![])?;
        rows.plan = plan.clone();
        Ok(Part {
            plan: rows.without_computed(plan)?,
            inputs: vec![(slot, Node::Operator(node))],
            change: Change::InsertOnly,
        })
    }
}
