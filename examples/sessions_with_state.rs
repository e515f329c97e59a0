//! Sessions of users by a program of one's own: a value for what is known of a session, a timer for its end.
//!
//! ```text
//! cargo run --release --example sessions_with_state
//! ```
//! SQL's `session_window` gives the same sessions; here a program decides what a session is: it also ends with a logout.

use acequia::prelude::*;
use acequia::{KeyContext, Result, StatefulProcessor, TimeMode, Timestamp, ValueState, Variables};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A session ends when a user does nothing for so long.
const GAP_MICROS: i64 = 10 * 60 * 1_000_000;

#[derive(Debug, Serialize, Deserialize)]
struct Click {
    user: String,
    page: String,
    at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Visit {
    user: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    clicks: u32,
}

struct Sessions;

impl Sessions {
    fn end(visit: Option<Visit>, context: &mut KeyContext<'_>, output: &mut Vec<Visit>) {
        output.extend(visit);
        for timer in context.timers().collect::<Vec<_>>() {
            context.delete_timer(timer);
        }
    }
}

impl StatefulProcessor for Sessions {
    type Key = String;
    type Input = Click;
    type Output = Visit;
    type State = ValueState<Visit>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.value("visit", None)
    }

    fn handle_rows(
        &self,
        state: &Self::State,
        user: &String,
        mut clicks: Vec<Click>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Visit>,
    ) -> Result<()> {
        clicks.sort_by_key(|click| click.at);
        for click in clicks {
            let visit = match state.take(context) {
                Some(visit) => Visit { to: visit.to.max(click.at), clicks: visit.clicks + 1, ..visit },
                None => Visit { user: user.clone(), from: click.at, to: click.at, clicks: 1 },
            };
            if click.page == "/logout" {
                Self::end(Some(visit), context, output);
                continue;
            }
            Self::end(None, context, output);
            context.register_timer(Timestamp(visit.to.timestamp_micros() + GAP_MICROS))?;
            state.set(context, visit);
        }
        Ok(())
    }

    fn handle_timer(
        &self,
        state: &Self::State,
        _user: &String,
        _at: Timestamp,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Visit>,
    ) -> Result<()> {
        output.extend(state.take(context));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let session = Session::new()?;
    session
        .sql("CREATE STREAM clicks (\"user\" VARCHAR, page VARCHAR, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '1' MINUTE)")
        .await?;
    let visits = session
        .table("clicks")
        .await?
        .group_by_key(|click: &Click| click.user.clone())?
        .transform_with_state(Sessions, TimeMode::EventTime, OutputMode::Append)?;
    visits.write_stream().to_table("visits").await?;

    for clicks in [
        "('ann', '/', '2026-01-01 10:00:00'), ('bob', '/', '2026-01-01 10:01:00'), ('ann', '/cart', '2026-01-01 10:04:00')",
        "('bob', '/logout', '2026-01-01 10:05:00'), ('bob', '/', '2026-01-01 10:06:00')",
        "('cyd', '/', '2026-01-01 10:30:00')",
    ] {
        session.sql(&format!("INSERT INTO clicks VALUES {clicks}")).await?;
        session.process_all_available().await?;
    }
    // Ann's visit, and both of Bob's; nobody knows yet that Cyd's is over.
    session.table("visits").await?.into_datafusion().show().await.map_err(acequia::from_datafusion)
}
