//! The classic: counts the words that come over a socket.
//!
//! ```text
//! nc -lk 9999                                            # in one terminal: type here
//! cargo run --release --example word_count               # in another
//! ```

use acequia::{OutputMode, Result, Session};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_nested::expr_fn::string_to_array;
use datafusion::prelude::{col, lit};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "localhost".to_string());
    let port = args.next().unwrap_or_else(|| "9999".to_string());

    let session = Session::new()?;
    let lines =
        session.read_stream().format("socket").option("host", host).option("port", port).load().await?;
    let words = lines
        .select(vec![string_to_array(col("value"), lit(" "), lit("")).alias("word")])?
        .transform(|frame| frame.unnest_columns(&["word"]))?
        .filter(col("word").is_not_null())?;
    let counts = words.aggregate(vec![col("word")], vec![count(lit(1)).alias("count")])?;

    let query = counts.write_stream().format("console").output_mode(OutputMode::Complete).start().await?;
    query.await_termination().await
}
