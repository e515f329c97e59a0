//! Every transformation gives what the same words give in SQL.

use super::*;
use acequia::arrow::array::{ArrayRef, AsArray, Int64Array};
use acequia::arrow::datatypes::{DataType, Int64Type};
use acequia::datafusion::common::ScalarValue;
use acequia::datafusion::functions_aggregate::expr_fn::array_agg;
use acequia::{ErrorKind, Result};
use std::sync::Arc;

/// Runs a frame and a query over the same batches; both keep a table.
async fn is_sql(name: &str, frame: impl AsyncFn(&Session) -> Result<DataFrame>, sql: &str, mode: OutputMode) {
    let session = session().await;
    let frame = frame(&session).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    frame.write_stream().output_mode(mode).to_table("api").await.unwrap_or_else(|e| panic!("{name}: {e}"));
    session.sql(&format!("CREATE MATERIALIZED VIEW sql AS {sql} EMIT {mode}")).await.unwrap();
    fill(&session).await;
    let (api, sql) = (table(&session, "api").await, table(&session, "sql").await);
    assert!(!sql.is_empty(), "{name}: gives something");
    assert_eq!(api, sql, "{name}");
    session.stop_all().await.unwrap();
}

use OutputMode::{Append, Complete, Update};

#[tokio::test]
async fn rows_and_columns() {
    let sales = async |s: &Session| s.table("sales").await;
    is_sql(
        "select",
        async |s| sales(s).await?.select(vec![col("shop"), (col("price") * lit(2)).alias("twice")]),
        "SELECT shop, price * 2 AS twice FROM sales",
        Append,
    )
    .await;
    is_sql(
        "select_expr",
        async |s| sales(s).await?.select_expr(&["shop", "price * 2 AS twice", "upper(item)"]),
        "SELECT shop, price * 2 AS twice, upper(item) FROM sales",
        Append,
    )
    .await;
    is_sql(
        "filter_expr, with_column, with_column_renamed, cast, drop",
        async |s| {
            sales(s)
                .await?
                .filter_expr("price > 3 OR shop IS NULL")?
                .with_column("half", col("price") / lit(2))?
                .with_column_renamed("item", "Thing")?
                .cast("price", DataType::Utf8)?
                .drop(&["tags", "at"])
        },
        "SELECT shop, item AS \"Thing\", price::VARCHAR AS price, price / 2 AS half FROM sales WHERE price > 3 OR shop IS NULL",
        Append,
    )
    .await;
    is_sql(
        "explode",
        async |s| sales(s).await?.explode("tags")?.select(vec![col("shop"), col("tags")]),
        "SELECT shop, unnest(tags) AS tags FROM sales",
        Append,
    )
    .await;
    is_sql(
        "explode_outer",
        async |s| sales(s).await?.explode_outer("tags")?.select(vec![col("item"), col("tags")]),
        "SELECT item, unnest(tags) AS tags FROM sales UNION ALL SELECT item, NULL FROM sales WHERE coalesce(array_length(tags), 0) = 0",
        Append,
    )
    .await;
}

#[tokio::test]
async fn sets_and_duplicates() {
    let shops = async |s: &Session, table: &str| s.table(table).await?.select(vec![col("shop")]);
    is_sql(
        "union",
        async |s| shops(s, "sales").await?.union(shops(s, "visits").await?),
        "SELECT shop FROM sales UNION ALL SELECT shop FROM visits",
        Append,
    )
    .await;
    is_sql(
        "union_by_name",
        async |s| {
            let visits = s.table("visits").await?.select(vec![col("who"), col("shop")])?;
            shops(s, "sales").await?.union_by_name(visits)
        },
        "SELECT shop, NULL AS who FROM sales UNION ALL SELECT shop, who FROM visits",
        Append,
    )
    .await;
    is_sql(
        "intersect",
        async |s| shops(s, "sales").await?.intersect(shops(s, "visits").await?),
        "SELECT shop FROM sales INTERSECT SELECT shop FROM visits",
        Complete,
    )
    .await;
    is_sql(
        "except",
        async |s| {
            s.table("sales")
                .await?
                .select(vec![col("item")])?
                .except(s.table("visits").await?.select(vec![col("who")])?)
        },
        "SELECT item FROM sales EXCEPT SELECT who FROM visits",
        Complete,
    )
    .await;
    is_sql(
        "distinct",
        async |s| shops(s, "sales").await?.distinct(),
        "SELECT DISTINCT shop FROM sales",
        Append,
    )
    .await;
    is_sql(
        "drop_duplicates",
        async |s| s.table("sales").await?.drop_duplicates(&["shop", "item"]),
        "SELECT * FROM drop_duplicates(TABLE sales, DESCRIPTOR(shop, item))",
        Append,
    )
    .await;
    is_sql(
        "drop_duplicates of all columns",
        async |s| s.table("visits").await?.drop_duplicates(&[]),
        "SELECT * FROM drop_duplicates(TABLE visits)",
        Append,
    )
    .await;
    is_sql(
        "drop_duplicates_within_watermark",
        async |s| s.table("sales").await?.drop_duplicates_within_watermark(&["item"]),
        "SELECT * FROM drop_duplicates_within_watermark(TABLE sales, DESCRIPTOR(item))",
        Append,
    )
    .await;
    is_sql(
        "sort and limit",
        async |s| {
            s.table("sales")
                .await?
                .select(vec![col("item"), col("price")])?
                .sort(vec![col("price").sort(false, false)])?
                .limit(2)
        },
        "SELECT item, price FROM sales ORDER BY price DESC NULLS LAST LIMIT 2",
        Complete,
    )
    .await;
}

#[tokio::test]
async fn joins() {
    let both = async |s: &Session, kind: JoinType| {
        s.table("sales").await?.drop(&["tags", "at"])?.join(
            s.table("visits").await?.drop(&["seen"])?,
            kind,
            &["shop"],
        )
    };
    for (kind, words, columns) in [
        (JoinType::Inner, "JOIN", "shop, item, price, who"),
        (JoinType::Left, "LEFT JOIN", "shop, item, price, who"),
        (JoinType::Right, "RIGHT JOIN", "shop, item, price, who"),
        (JoinType::Full, "FULL JOIN", "shop, item, price, who"),
        (JoinType::LeftSemi, "LEFT SEMI JOIN", "shop, item, price"),
        (JoinType::LeftAnti, "LEFT ANTI JOIN", "shop, item, price"),
    ] {
        let sql = format!("SELECT {columns} FROM sales {words} visits USING (shop)");
        is_sql(words, async |s| both(s, kind).await, &sql, Complete).await;
    }
    is_sql(
        "join_on with times",
        async |s| {
            let close = vec![col("sales.shop").eq(col("visits.shop")), col("at").gt_eq(col("seen"))];
            let joined = s.table("sales").await?.join_on(s.table("visits").await?, JoinType::Inner, close)?;
            joined.select(vec![col("item"), col("who")])
        },
        "SELECT item, who FROM sales s JOIN visits v ON s.shop = v.shop AND at >= seen",
        Append,
    )
    .await;
    is_sql(
        "join_asof",
        async |s| {
            let seen = col("at").gt_eq(col("seen"));
            let shop = vec![col("sales.shop").eq(col("visits.shop"))];
            let sales = s.table("sales").await?;
            let joined = sales.join_asof(s.table("visits").await?, JoinType::Left, seen, shop)?;
            joined.select(vec![col("item"), col("who")])
        },
        "SELECT item, who FROM sales s ASOF JOIN visits v MATCH_CONDITION (at >= seen) USING (shop)",
        Complete,
    )
    .await;
    is_sql(
        "join with itself and a table",
        async |s| {
            let cheap = s.table("sales").await?.alias("a")?;
            let dear = s.table("sales").await?.alias("b")?;
            let both = cheap.join_on(dear, JoinType::Inner, vec![col("a.price").lt(col("b.price"))])?;
            let both = both.select(vec![col("a.shop").alias("shop"), col("b.item").alias("item")])?;
            both.join(s.table("cities").await?, JoinType::Inner, &["shop"])
        },
        "SELECT shop, b.item AS item, city FROM (SELECT a.shop AS shop, b.item AS item FROM sales a JOIN sales b ON a.price < b.price) b JOIN cities USING (shop)",
        Append,
    )
    .await;
    is_sql(
        "cross_join",
        async |s| {
            let who = s.table("visits").await?.select(vec![col("who")])?;
            s.table("sales").await?.select(vec![col("item")])?.cross_join(who)
        },
        "SELECT item, who FROM sales CROSS JOIN visits",
        Append,
    )
    .await;
}

#[tokio::test]
async fn groups_and_windows() {
    let sales = async |s: &Session| s.table("sales").await;
    let shop = || vec![col("shop")];
    is_sql(
        "count",
        async |s| sales(s).await?.group_by(shop()).count(),
        "SELECT shop, count(*) AS count FROM sales GROUP BY shop",
        Update,
    )
    .await;
    is_sql(
        "sum and the like",
        async |s| {
            let totals = sales(s).await?.group_by(shop()).sum(&["price"])?;
            let averages = sales(s).await?.group_by(shop()).avg(&["price"])?;
            let least = sales(s).await?.group_by(shop()).min(&["price", "item"])?;
            totals.join(averages, JoinType::Inner, &["shop"])?.join(least, JoinType::Inner, &["shop"])
        },
        "SELECT shop, sum(price) AS \"sum(price)\", avg(price) AS \"avg(price)\", min(price) AS \"min(price)\", min(item) AS \"min(item)\" FROM sales WHERE shop IS NOT NULL GROUP BY shop",
        Complete,
    )
    .await;
    is_sql(
        "agg without groups",
        async |s| {
            sales(s)
                .await?
                .agg(vec![max(col("price")).alias("dearest"), count_distinct(col("item")).alias("items")])
        },
        "SELECT max(price) AS dearest, count(DISTINCT item) AS items FROM sales",
        Update,
    )
    .await;
    is_sql(
        "rollup",
        async |s| sales(s).await?.rollup(vec![col("shop"), col("item")]).agg(vec![count(lit(1)).alias("n")]),
        "SELECT shop, item, count(*) AS n FROM sales GROUP BY ROLLUP (shop, item)",
        Complete,
    )
    .await;
    is_sql(
        "cube",
        async |s| sales(s).await?.cube(vec![col("shop"), col("item")]).agg(vec![count(lit(1)).alias("n")]),
        "SELECT shop, item, count(*) AS n FROM sales GROUP BY CUBE (shop, item)",
        Complete,
    )
    .await;
    is_sql(
        "pivot",
        async |s| {
            let values = vec!["tea".into(), "pie".into(), ScalarValue::Utf8(None)];
            sales(s).await?.group_by(shop()).pivot(col("item"), values).agg(vec![sum(col("price")).alias("total"), count(lit(1)).alias("n")])
        },
        "SELECT shop, sum(price) FILTER (WHERE item = 'tea') AS tea_total, count(*) FILTER (WHERE item = 'tea') AS tea_n, sum(price) FILTER (WHERE item = 'pie') AS pie_total, count(*) FILTER (WHERE item = 'pie') AS pie_n, sum(price) FILTER (WHERE item IS NULL) AS \"NULL_total\", count(*) FILTER (WHERE item IS NULL) AS \"NULL_n\" FROM sales GROUP BY shop",
        Update,
    )
    .await;
    for (name, call, sql) in [
        ("window", window(col("at"), "5 minutes"), "window(at, '5 minutes')"),
        (
            "sliding_window",
            sliding_window(col("at"), "10 minutes", "5 minutes"),
            "window(at, '10 minutes', '5 minutes')",
        ),
        (
            "window_from",
            window_from(col("at"), "1 hour", "1 hour", "15 minutes"),
            "window(at, '1 hour', '1 hour', '15 minutes')",
        ),
    ] {
        let query = format!("SELECT {sql} AS window, shop, count(*) AS n FROM sales GROUP BY {sql}, shop");
        let call = &call;
        is_sql(
            name,
            async |s| {
                sales(s).await?.group_by(vec![call.clone(), col("shop")]).agg(vec![count(lit(1)).alias("n")])
            },
            &query,
            Append,
        )
        .await;
    }
    is_sql(
        "session_window",
        async |s| {
            let groups = sales(s).await?.group_by(vec![col("shop"), session_window(col("at"), "8 minutes")]);
            groups.agg(vec![array_agg(col("item")).alias("items")])
        },
        "SELECT shop, session_window(at, '8 minutes') AS session_window, array_agg(item) AS items FROM sales GROUP BY shop, session_window(at, '8 minutes')",
        Append,
    )
    .await;
    is_sql(
        "fields of a window",
        async |s| {
            let groups = sales(s).await?.group_by(vec![window(col("at"), "5 minutes")]).count()?;
            groups.select_expr(&["window.start AS start", "count"])
        },
        "SELECT window.start AS start, count(*) AS count FROM sales GROUP BY window(at, '5 minutes')",
        Append,
    )
    .await;
}

#[tokio::test]
async fn datafusions_frames_views_and_functions() {
    use acequia::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};

    let session = session().await;
    let negative = create_udf(
        "negative_of",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(|args| {
            let values = ColumnarValue::values_to_arrays(args)?;
            let negated: Int64Array = values[0].as_primitive::<Int64Type>().unary(|value| -value);
            Ok(ColumnarValue::Array(Arc::new(negated) as ArrayRef))
        }),
    );
    session.register_udf(negative);
    let cities = session.context().table("cities").await.unwrap();
    let cities = session.data_frame(cities.filter(col("city").not_eq(lit("Roma"))).unwrap());
    assert!(!cities.is_streaming());
    let negated =
        session.table("sales").await.unwrap().select_expr(&["shop", "negative_of(price) AS loss"]).unwrap();
    negated.create_or_replace_temp_view("losses").await.unwrap();
    let view = session.frame("SELECT * FROM losses WHERE loss < 0").await.unwrap();
    assert!(view.is_streaming());
    let joined = view.join(cities, JoinType::Left, &["shop"]).unwrap();
    let explained = joined.explain(None).await.unwrap();
    assert!(explained.contains("sales"), "{explained}");
    joined.write_stream().to_table("out").await.unwrap();
    fill(&session).await;
    assert_eq!(
        table(&session, "out").await,
        [
            "| north | -3 | Oslo |",
            "| north | -3 | Oslo |",
            "| south | -4 | |",
            "| south | -9 | |",
            "| | -5 | |"
        ]
    );
}

#[tokio::test]
async fn mistakes_name_what_and_the_way_out() {
    let session = session().await;
    let sales = async || session.table("sales").await.unwrap();
    let cases: Vec<(Result<DataFrame>, &str)> = vec![
        (sales().await.drop(&["prise"]), "unknown column: `prise`; did you mean `price`?"),
        (sales().await.with_column_renamed("prise", "x"), "did you mean `price`?"),
        (sales().await.cast("nothing", DataType::Int8), "unknown column: `nothing`; valid: shop, item"),
        (sales().await.drop_duplicates(&["Shop"]), "did you mean `shop`?"),
        (sales().await.explode("itm"), "did you mean `item`?"),
        (sales().await.select(vec![col("prise")]), "prise"),
        (sales().await.filter_expr("price >"), "expr"),
        (
            sales().await.join(session.table("visits").await.unwrap(), JoinType::Inner, &["item"]),
            "unknown column: `item`",
        ),
        (
            sales().await.join_asof(
                session.table("visits").await.unwrap(),
                JoinType::Full,
                col("at").gt_eq(col("seen")),
                vec![],
            ),
            "a left or an inner one",
        ),
        (session.table("cities").await.unwrap().with_watermark("shop", "1 minute"), "not a timestamp"),
        (sales().await.with_watermark("at", "soon"), "soon"),
        (sales().await.drop(&["at"]).unwrap().drop_duplicates_within_watermark(&["shop"]), "event time"),
        (
            sales().await.group_by(vec![]).pivot(col("item"), vec!["a".into()]).agg(vec![col("price")]),
            "aggregate",
        ),
    ];
    for (result, expected) in cases {
        let error = result.err().unwrap_or_else(|| panic!("no error: {expected}"));
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains(expected), "{expected}: {error}");
    }
    let wrong = sales().await.group_by(vec![window(col("at"), "a while")]).count().unwrap();
    let error = wrong.explain(None).await.unwrap_err();
    assert!(error.message().contains("a while"), "{error}");
    let error = sales().await.collect().await.unwrap_err();
    assert!(error.message().contains("write_stream()"), "{error}");
    let error = sales().await.create_or_replace_temp_view("visits").await.unwrap_err();
    assert!(error.message().contains("name is taken by a stream"), "{error}");
    let error = sales().await.create_or_replace_temp_view("cities").await.unwrap_err();
    assert!(error.message().contains("name is taken by a table"), "{error}");
    let named = session
        .frame("SELECT shop AS \"Shop\", shop, item AS \"a.b\" FROM cities CROSS JOIN (SELECT 1 AS item)")
        .await
        .unwrap();
    let kept = named.drop(&["Shop", "a.b"]).unwrap();
    assert_eq!(kept.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["shop"]);
}

/// The product of what it is given.
#[derive(Debug)]
struct Product(i64);

impl acequia::datafusion::logical_expr::Accumulator for Product {
    fn update_batch(&mut self, values: &[ArrayRef]) -> acequia::datafusion::common::Result<()> {
        self.0 *= values[0].as_primitive::<Int64Type>().iter().flatten().product::<i64>();
        Ok(())
    }

    fn evaluate(&mut self) -> acequia::datafusion::common::Result<ScalarValue> {
        Ok(self.0.into())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> acequia::datafusion::common::Result<Vec<ScalarValue>> {
        Ok(vec![self.0.into()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> acequia::datafusion::common::Result<()> {
        self.update_batch(states)
    }
}

/// The numbers up to its argument.
#[derive(Debug)]
struct UpTo;

impl acequia::datafusion::catalog::TableFunctionImpl for UpTo {
    fn call_with_args(
        &self,
        args: acequia::datafusion::catalog::TableFunctionArgs,
    ) -> acequia::datafusion::common::Result<Arc<dyn acequia::datafusion::catalog::TableProvider>> {
        let Some(Expr::Literal(ScalarValue::Int64(Some(last)), _)) = args.exprs().first() else {
            return acequia::datafusion::common::plan_err!("up_to takes a number");
        };
        let numbers = Arc::new(Int64Array::from_iter_values(1..=*last)) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("number", numbers)])?;
        let table = acequia::datafusion::datasource::MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        Ok(Arc::new(table))
    }
}

#[tokio::test]
async fn aggregates_and_table_functions_of_the_program_run_over_streams() {
    use acequia::datafusion::logical_expr::{Volatility, create_udaf};

    for shards in [1, 4] {
        let session = session().await;
        session.sql(&format!("SET acequia.shards = {shards}")).await.unwrap();
        let number = || Arc::new(DataType::Int64);
        session.register_udaf(create_udaf(
            "product",
            vec![DataType::Int64],
            number(),
            Volatility::Immutable,
            Arc::new(|_| Ok(Box::new(Product(1)))),
            Arc::new(vec![DataType::Int64]),
        ));
        session.register_udtf("up_to", Arc::new(UpTo));
        let products =
            "SELECT shop, product(price) AS p FROM sales JOIN up_to(2) ON price >= number GROUP BY shop";
        let products = session.frame(products).await.unwrap();
        products.write_stream().output_mode(OutputMode::Update).to_table("products").await.unwrap();
        fill(&session).await;
        // Each price twice, as two numbers are below it.
        assert_eq!(table(&session, "products").await, ["| north | 81 |", "| south | 1296 |", "| | 25 |"]);
    }
}

#[tokio::test]
async fn a_function_that_panics_over_a_table_ends_its_statement_only() {
    use acequia::datafusion::logical_expr::{Volatility, create_udf};
    let session = Session::new().unwrap();
    let boom = Arc::new(|_: &[_]| panic!("boom"));
    session.register_udf(create_udf(
        "boom",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Volatile,
        boom,
    ));
    let error = session.sql("SELECT boom(1)").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Internal && error.message().contains("panicked"), "{error}");
    session.sql("SELECT 1").await.unwrap();
}
