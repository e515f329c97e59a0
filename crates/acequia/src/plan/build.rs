//! Cuts an optimized logical plan into islands and operators.
//!
//! [`Builder::part`] walks the plan from the leaves up. A [`Part`] is an island in the making: a logical plan whose
//! leaves are static tables and slots, with what feeds each slot, and how its rows change. A stateful node closes the
//! island below it and begins a new one that reads the operator's output from a slot.

use super::delta::DeltaTable;
use super::fingerprint::{self, fingerprint};
use super::key;
use super::keyed_state::{TransformWithState, check_updates, has_updates};
use super::node::{Island, Node, OP, OperatorNode, SourceLeaf, StreamingPlan};
use super::optimize::limited_sorts;
use super::reset::IslandTemplate;
use super::static_join::{linear_in_stream, rebuild_join, swap_join, weight_last};
use super::watermark::{EventTimeObservers, WatermarkPlanner};
use super::{Slot, duplicates, explain, moving_bound, refuse, see, sessions};
use crate::catalog::StreamScan;
use crate::error::from_datafusion;
use crate::exec::{Sharding, Shards, WEIGHT, with_weight};
use crate::functions::{
    AsofJoin, BatchTime, DropDuplicates, EventTimeWatermark, TimeColumns, TimeRole, event_time_columns,
    is_volatile, reads_batch_time,
};
use acequia_core::{Error, OperatorId, OutputMode, Result};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{
    Distinct, Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, TableScan, TableScanBuilder, Union,
    Unnest, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// How the rows of a part change from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Not at all: no stream is read.
    Static,
    /// Rows are only added.
    InsertOnly,
    /// Rows replace those with their key.
    Keyed,
    /// Rows carry a weight as last column.
    Retracting,
    /// Every batch gives the whole relation.
    Snapshot,
}

/// An island in the making.
pub(super) struct Part {
    pub(super) plan: LogicalPlan,
    pub(super) inputs: Vec<(Arc<Slot>, Node)>,
    pub(super) change: Change,
}

/// Plans an optimized logical plan in this mode.
pub(super) async fn build(
    state: &SessionState,
    plan: &LogicalPlan,
    mode: OutputMode,
    key: Option<&[String]>,
    shards: Shards,
    batch_time: Arc<BatchTime>,
) -> Result<StreamingPlan> {
    sessions::check(plan)?;
    refuse::correlated(plan)?;
    check_updates(plan)?;
    let observers = Arc::new(EventTimeObservers::default());
    let planner = WatermarkPlanner { observers: Arc::clone(&observers) };
    let mut builder = Builder {
        state,
        task: state.task_ctx(),
        planner: DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(planner)]),
        mode,
        shards,
        upserts: key::reaches_root_unfiltered(plan),
        kept_above: false,
        sources: vec![],
        operators: 0,
    };
    if plan.schema().fields().is_empty() {
        return Err(refuse::no_columns());
    }
    let mut part = builder.part(plan).await?;
    if mode == OutputMode::Complete {
        part = builder.complete(part, plan).await?;
    }
    let declared = key.map(|names| key::declared(names, plan.schema())).transpose()?;
    let key = match (mode, part.change) {
        (OutputMode::Append, Change::Retracting) => return Err(refuse::rows_change()),
        (OutputMode::Update | OutputMode::Changes, Change::Keyed | Change::Retracting) => match declared {
            Some(key) => Some(key),
            None => key::derive(plan)?.require_for(mode)?,
        },
        (OutputMode::Update, _) if has_updates(plan) => declared,
        _ => None,
    };
    let weighted = part.change == Change::Retracting;
    let root = Node::Island(builder.close(part).await?);
    let schema = Arc::new(nullable(plan.schema().as_arrow()));
    if mode == OutputMode::Changes && schema.column_with_name(OP).is_some() {
        return Err(refuse::op_taken());
    }
    let explain = explain::render(&root, &builder.sources, mode, key.as_deref(), &schema);
    Ok(StreamingPlan {
        root,
        sources: builder.sources,
        observers,
        batch_time,
        mode,
        schema,
        weighted,
        key,
        explain,
        logical: plan.clone(),
    })
}

/// The columns with every one nullable, since an aggregate or outer join may make any of them NULL.
fn nullable(schema: &Schema) -> Schema {
    Schema::new(
        schema.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect::<Vec<_>>(),
    )
}

/// What planning goes by, and what it has planned.
pub(super) struct Builder<'a> {
    state: &'a SessionState,
    pub(super) task: Arc<TaskContext>,
    planner: DefaultPhysicalPlanner,
    pub(super) mode: OutputMode,
    pub(super) shards: Shards,
    /// Whether the next aggregate below gives rows of the result, so that new versions need no old ones.
    pub(super) upserts: bool,
    /// Whether anything above keeps rows.
    pub(super) kept_above: bool,
    sources: Vec<SourceLeaf>,
    operators: u32,
}

impl Builder<'_> {
    pub(super) fn part<'b>(&'b mut self, plan: &'b LogicalPlan) -> BoxFuture<'b, Result<Part>> {
        async move {
            if !is_streaming(plan) {
                if asks_for_time(plan)? {
                    return Err(refuse::static_time());
                }
                return Ok(Part { plan: plan.clone(), inputs: vec![], change: Change::Static });
            }
            refuse_streaming_subqueries(plan)?;
            let above = self.kept_above;
            self.kept_above |= !moving_bound::passes_rows(plan);
            let part = self.streaming_part(plan).await;
            self.kept_above = above;
            part
        }
        .boxed()
    }

    fn streaming_part<'b>(&'b mut self, plan: &'b LogicalPlan) -> BoxFuture<'b, Result<Part>> {
        async move {
            match plan {
                LogicalPlan::TableScan(scan) => self.source(scan),
                LogicalPlan::Aggregate(aggregate) => self.aggregate(plan, aggregate).await,
                LogicalPlan::Join(join) => self.join(plan, join).await,
                LogicalPlan::Union(union) => self.union(plan, union).await,
                LogicalPlan::Window(window) => self.window(plan, window).await,
                LogicalPlan::Filter(filter) if reads_batch_time(&filter.predicate) => {
                    self.temporal_filter(plan, filter).await
                }
                LogicalPlan::Filter(filter) if self.mode != OutputMode::Complete => {
                    match see::of_filter(filter) {
                        Some((window, see)) => self.first(plan, window, see).await,
                        None => self.single_input(plan).await,
                    }
                }
                LogicalPlan::Limit(_) => self.limit(plan).await,
                LogicalPlan::Sort(sort) => self.sort(plan, sort).await,
                LogicalPlan::Extension(_) => self.extension(plan).await,
                _ => self.single_input(plan).await,
            }
        }
        .boxed()
    }

    /// A node of our own.
    async fn extension(&mut self, plan: &LogicalPlan) -> Result<Part> {
        if let Some(node) = DropDuplicates::of(plan) {
            self.drop_duplicates(plan, node).await
        } else if let Some(node) = TransformWithState::of(plan) {
            self.transform_with_state(plan, node).await
        } else if let Some(node) = AsofJoin::of(plan) {
            self.asof_join(plan, node).await
        } else {
            self.single_input(plan).await
        }
    }

    /// A use of a stream: its scan reads a slot instead.
    fn source(&mut self, scan: &TableScan) -> Result<Part> {
        let provider = source_as_provider(&scan.source).map_err(from_datafusion)?;
        let Some(stream) = provider.downcast_ref::<StreamScan>() else {
            return Err(Error::internal(format!("not a stream: table=`{}`", scan.table_name)));
        };
        let schema = provider.schema();
        let changes = stream.stream().changelog().is_some();
        let (schema, projection, change) = match changes {
            false => (schema, scan.projection.clone(), Change::InsertOnly),
            true => {
                let weight = schema.fields().len();
                let projection = scan.projection.clone();
                let projection = projection.map(|columns| columns.into_iter().chain([weight]).collect());
                (with_weight(&schema), projection, Change::Retracting)
            }
        };
        let (table, slot) = DeltaTable::new(scan.table_name.to_string(), schema);
        let source = provider_as_source(Arc::new(table));
        let leaf = TableScanBuilder::new(scan.table_name.clone(), source).with_projection(projection).build();
        let leaf = leaf.map_err(from_datafusion)?;
        self.sources.push(SourceLeaf { stream: Arc::clone(stream.stream()), slot: Arc::clone(&slot) });
        let inputs = vec![(slot, Node::Source(self.sources.len() - 1))];
        Ok(Part { plan: LogicalPlan::TableScan(leaf), inputs, change })
    }

    /// A node with one input that keeps nothing, or any node over a whole relation.
    async fn single_input(&mut self, plan: &LogicalPlan) -> Result<Part> {
        let children = plan.inputs();
        let [child] = children[..] else { return self.over_snapshots(plan).await };
        let part = self.part(child).await?;
        self.stateless(plan, part)
    }

    /// A node that keeps nothing, over a part in place of its input.
    pub(super) fn stateless(&self, plan: &LogicalPlan, part: Part) -> Result<Part> {
        let Part { plan: input, inputs, change } = part;
        let stateless = match plan {
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => true,
            LogicalPlan::Unnest(_) => true,
            LogicalPlan::Extension(_) => EventTimeWatermark::of(plan).is_some(),
            _ => false,
        };
        if !stateless && change != Change::Snapshot {
            return Err(refuse::node(plan));
        }
        let mut exprs = plan.expressions();
        if change == Change::Retracting && exprs.iter().any(is_volatile) {
            return Err(refuse::volatile_over_changes(self.mode));
        }
        if change == Change::Retracting && matches!(plan, LogicalPlan::Projection(_)) {
            exprs.push(weight_of(&input));
        }
        let plan = match plan {
            // It lists its output columns, to which the weight comes as the last one.
            LogicalPlan::Unnest(unnest) => {
                let (columns, options) = (unnest.exec_columns.clone(), unnest.options.clone());
                LogicalPlan::Unnest(
                    Unnest::try_new(Arc::new(input), columns, options).map_err(from_datafusion)?,
                )
            }
            _ => with_inputs(plan, exprs, vec![input])?,
        };
        Ok(Part { plan, inputs, change })
    }

    /// Any node over relations that every batch gives whole: plain DataFusion is right.
    async fn over_snapshots(&mut self, plan: &LogicalPlan) -> Result<Part> {
        let mut parts = vec![];
        for child in plan.inputs() {
            parts.push(self.part(child).await?);
        }
        if parts.iter().any(|part| !matches!(part.change, Change::Snapshot | Change::Static)) {
            return Err(refuse::node(plan));
        }
        merge(plan, parts, Change::Snapshot)
    }

    async fn union(&mut self, plan: &LogicalPlan, union: &Union) -> Result<Part> {
        let mut parts = vec![];
        for child in &union.inputs {
            parts.push(self.part(child).await?);
        }
        let changes: Vec<Change> = parts.iter().map(|part| part.change).collect();
        if changes.iter().all(|c| matches!(c, Change::Snapshot | Change::Static)) {
            return merge(plan, parts, Change::Snapshot);
        }
        if changes.contains(&Change::Snapshot) {
            let mut kept = vec![];
            for (part, child) in parts.into_iter().zip(&union.inputs) {
                kept.push(self.kept_whole(part, child).await?);
            }
            return merge(plan, kept, Change::Snapshot);
        }
        for part in parts.iter_mut().filter(|part| part.change == Change::Static) {
            *part = self.once(&part.plan).await?;
        }
        if parts.iter().all(|part| part.change == Change::InsertOnly) {
            return merge(plan, parts, Change::InsertOnly);
        }
        if changes.contains(&Change::Keyed) {
            return Err(refuse::no_key(&[]));
        }
        for part in &mut parts {
            weigh(part)?;
        }
        let inputs: Vec<_> = parts.iter().map(|part| Arc::new(part.plan.clone())).collect();
        let plan = LogicalPlan::Union(Union::try_new(inputs).map_err(from_datafusion)?);
        Ok(Part {
            plan,
            inputs: parts.into_iter().flat_map(|p| p.inputs).collect(),
            change: Change::Retracting,
        })
    }

    /// Static rows beside a stream's: they are rows of the first batch.
    pub(super) async fn once(&self, plan: &LogicalPlan) -> Result<Part> {
        let island = IslandTemplate::new(self.physical(plan).await?, Arc::clone(&self.task));
        let schema = island.plan().schema();
        let node = Node::Once(Island { template: island, inputs: vec![] });
        reads_slot(plan.schema(), "__once".to_string(), &schema, node, Change::InsertOnly)
    }

    /// A join of a stream with static data is mostly linear in the stream; the static side is built once.
    async fn join(&mut self, plan: &LogicalPlan, join: &Join) -> Result<Part> {
        let left = self.part(&join.left).await?;
        let right = self.part(&join.right).await?;
        let whole = |change: Change| matches!(change, Change::Snapshot | Change::Static);
        if [&left, &right].iter().any(|part| part.change == Change::Snapshot) {
            // Beside what comes whole in every batch, the rows of the other side have to be kept.
            let (left, right) =
                (self.kept_whole(left, &join.left).await?, self.kept_whole(right, &join.right).await?);
            return merge(plan, vec![left, right], Change::Snapshot);
        }
        if whole(left.change) && whole(right.change) {
            return merge(plan, vec![left, right], Change::Snapshot);
        }
        let stream_left = right.change == Change::Static;
        let linear =
            (stream_left || left.change == Change::Static) && linear_in_stream(join.join_type, stream_left);
        if !linear {
            let scalar = if join.join_type == JoinType::RightSemi { &left } else { &right };
            // A row that stays is a bound that does not move.
            return match moving_bound::scalar_comparison(join).filter(|_| scalar.change == Change::Retracting)
            {
                Some(compared) if join.join_type == JoinType::RightSemi => {
                    self.dynamic_filter(plan, compared, right, left).await
                }
                Some(compared) => self.dynamic_filter(plan, compared, left, right).await,
                None => self.stream_join(plan, join, left, right).await,
            };
        }
        let change = if stream_left { left.change } else { right.change };
        let static_first = if stream_left {
            swap_join(join, left.plan, right.plan)
        } else {
            rebuild_join(join, left.plan, right.plan)
        };
        let mut joined = static_first.map_err(from_datafusion)?;
        if change == Change::Retracting {
            joined = weight_last(joined).map_err(from_datafusion)?;
        }
        let inputs = left.inputs.into_iter().chain(right.inputs).collect();
        Ok(Part { plan: joined, inputs, change })
    }

    async fn drop_duplicates(&mut self, plan: &LogicalPlan, node: &DropDuplicates) -> Result<Part> {
        let input = self.part(node.input()).await?;
        if input.change != Change::InsertOnly {
            return Err(refuse::duplicates_of_changes(self.mode));
        }
        let physical = self.physical(&input.plan).await?;
        let schema = physical.schema();
        let template = IslandTemplate::new(physical, Arc::clone(&self.task));
        let island = Island { template, inputs: input.inputs };
        let id = self.next_id();
        let spec = duplicates::spec(node, id, schema)?;
        let description = explain::drop_duplicates(node, &spec);
        let expires = fingerprint::expiry(&spec.expiry);
        let Sharding { operator, by } = Sharding::drop_duplicates(spec, self.shards)?;
        let description = description.with(&explain::shards(self.shards, &by, plan));
        let name = "drop_duplicates";
        let fingerprint = format!("{} {expires}", fingerprint(name, plan, &[]));
        let node = OperatorNode { id, name, fingerprint, description, operator, inputs: vec![island] };
        reads(plan.schema(), node, Change::InsertOnly)
    }

    pub(super) fn next_id(&mut self) -> OperatorId {
        let id = OperatorId(self.operators);
        self.operators += 1;
        id
    }

    /// The plan, ready to be run batch by batch.
    pub(super) async fn template(&self, plan: &LogicalPlan) -> Result<Arc<IslandTemplate>> {
        Ok(IslandTemplate::new(self.physical(plan).await?, Arc::clone(&self.task)))
    }

    pub(super) async fn physical(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = limited_sorts(plan.clone()).map_err(from_datafusion)?;
        self.planner.create_physical_plan(&plan, self.state).await.map_err(from_datafusion)
    }

    async fn close(&self, part: Part) -> Result<Island> {
        Ok(Island { template: self.template(&part.plan).await?, inputs: part.inputs })
    }
}

/// Which output columns of a plan carry event time.
pub(super) fn times_of(plan: &LogicalPlan) -> Result<TimeColumns> {
    event_time_columns(plan, &scans_stream).map_err(from_datafusion)
}

/// Whether a plan asks for the batch's time anywhere, subqueries included.
fn asks_for_time(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= node.expressions().iter().any(reads_batch_time);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map(|_| found).map_err(from_datafusion)
}

/// Whether a plan reads a stream anywhere, subqueries included.
pub fn is_streaming(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= scans_stream(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_err() || found
}

fn scans_stream(plan: &LogicalPlan) -> bool {
    let LogicalPlan::TableScan(scan) = plan else { return false };
    source_as_provider(&scan.source).is_ok_and(|provider| provider.is::<StreamScan>())
}

/// Whether a part reads what a stateful operator emits.
pub(super) fn has_operator(part: &Part) -> bool {
    part.inputs.iter().any(|(_, node)| !node.operators().is_empty())
}

/// A subquery that is still inside an expression after optimization would be run once, or once per batch.
fn refuse_streaming_subqueries(plan: &LogicalPlan) -> Result<()> {
    let mut streaming = None;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|e| {
            let subquery = match e {
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::Exists(exists) => Some(&exists.subquery),
                Expr::InSubquery(within) => Some(&within.subquery),
                _ => None,
            };
            if let Some(subquery) = subquery.filter(|s| is_streaming(&s.subquery)) {
                streaming = Some(subquery.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    walked.map_err(from_datafusion)?;
    match streaming {
        Some(subquery) => Err(refuse::node(&LogicalPlan::Subquery(subquery))),
        None => Ok(()),
    }
}

/// A part that reads an operator's output, with the column names of the logical node that it replaces.
pub(super) fn reads(names: &DFSchema, node: OperatorNode, change: Change) -> Result<Part> {
    let (name, schema) = (format!("__{}_{}", node.name, node.id), node.operator.output_schema());
    reads_slot(names, name, &schema, Node::Operator(node), change)
}

fn reads_slot(names: &DFSchema, name: String, schema: &Schema, node: Node, change: Change) -> Result<Part> {
    let (plan, slot) = leaf(names, name, schema, vec![])?;
    Ok(Part { plan, inputs: vec![(slot, node)], change })
}

/// A plan that reads rows from a slot, into which they come in this order, if any. Its columns have these names, and
/// after them the weight has its own.
pub(super) fn leaf(
    names: &DFSchema,
    name: String,
    schema: &Schema,
    order: Vec<(usize, SortOptions)>,
) -> Result<(LogicalPlan, Arc<Slot>)> {
    let weighted = schema.fields().last().is_some_and(|field| field.name() == WEIGHT);
    let numbered = schema.fields().iter().enumerate().map(|(i, field)| {
        let name = if field.name() == WEIGHT { WEIGHT.to_string() } else { format!("c{i}") };
        field.as_ref().clone().with_name(name)
    });
    let fields: Vec<Field> = numbered.collect();
    let (table, slot) = DeltaTable::new(name.clone(), Arc::new(Schema::new(fields)));
    let source = provider_as_source(Arc::new(table.ordered(order)));
    let builder = LogicalPlanBuilder::scan(name.clone(), source, None).map_err(from_datafusion)?;
    let table = TableReference::bare(name);
    let mut exprs: Vec<Expr> = names
        .iter()
        .enumerate()
        .map(|(i, (qualifier, field))| {
            Expr::Column(Column::new(Some(table.clone()), format!("c{i}")))
                .alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    if weighted {
        exprs.push(Expr::Column(Column::new(Some(table), WEIGHT)).alias(WEIGHT));
    }
    let plan = builder.project(exprs).and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
    Ok((plan, slot))
}

pub(super) fn with_inputs(
    plan: &LogicalPlan,
    exprs: Vec<Expr>,
    inputs: Vec<LogicalPlan>,
) -> Result<LogicalPlan> {
    plan.with_new_exprs(exprs, inputs).map_err(from_datafusion)
}

/// A node over parts, as it is.
pub(super) fn merge(plan: &LogicalPlan, parts: Vec<Part>, change: Change) -> Result<Part> {
    let (plans, inputs): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.plan, part.inputs)).unzip();
    let plan = with_inputs(plan, plan.expressions(), plans)?;
    Ok(Part { plan, inputs: inputs.into_iter().flatten().collect(), change })
}

/// The weight column of a retracting part: always its last one.
pub(super) fn weight_of(plan: &LogicalPlan) -> Expr {
    let last = plan.schema().fields().len() - 1;
    Expr::Column(Column::from(plan.schema().qualified_field(last)))
}

/// Gives an insert-only part the weight 1.
fn weigh(part: &mut Part) -> Result<()> {
    if part.change == Change::InsertOnly {
        let mut exprs: Vec<Expr> = part.plan.schema().columns().into_iter().map(Expr::Column).collect();
        exprs.push(lit(1_i64).alias(WEIGHT));
        let projection = Projection::try_new(exprs, Arc::new(part.plan.clone())).map_err(from_datafusion)?;
        part.plan = LogicalPlan::Projection(projection);
        part.change = Change::Retracting;
    }
    Ok(())
}

/// The kind of a role, without what it is a role of.
pub(super) fn role_name(role: &TimeRole) -> String {
    format!("{role:?}").split([' ', '{', '(']).next().unwrap_or_default().to_string()
}

/// `SELECT DISTINCT ON (a, b)` without ORDER BY keeps the first row that comes: `drop_duplicates`.
pub(super) fn distinct_on_to_drop_duplicates(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| {
        let LogicalPlan::Distinct(Distinct::On(on)) = &node else { return Ok(Transformed::no(node)) };
        if on.sort_expr.as_ref().is_some_and(|sort| !sort.is_empty()) || !is_streaming(&on.input) {
            return Ok(Transformed::no(node));
        }
        let columns = on.input.schema().columns();
        let mut exprs: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
        let keys: Vec<usize> = (exprs.len()..exprs.len() + on.on_expr.len()).collect();
        exprs.extend(on.on_expr.iter().enumerate().map(|(i, e)| e.clone().alias(format!("__on_{i}"))));
        let input = LogicalPlanBuilder::from(on.input.as_ref().clone()).project(exprs)?.build()?;
        let keys = keys.into_iter().map(|i| Column::from(input.schema().qualified_field(i))).collect();
        let deduplicated = DropDuplicates::try_new(input, keys, None)?.into_plan();
        let plan = LogicalPlanBuilder::from(deduplicated).project(on.select_expr.clone())?.build()?;
        Ok(Transformed::yes(plan))
    });
    rewritten.map(|t| t.data).map_err(from_datafusion)
}
