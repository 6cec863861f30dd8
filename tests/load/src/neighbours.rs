//! F-6: how long checks take while sign-ins fill the machine, against how long they take at rest.
//!
//! The checks come at a fixed rate, whatever becomes of those before: an open loop counts from the intended start.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::Failed;
use crate::bench::Bench;
use crate::drive::{Closed, arrivals, closed, open};
use crate::measure::{Spread, number};
use crate::process::rest;
use crate::report::Neighbours;
use crate::subject::Mode;
use crate::work::{ApiWork, WorkKind};

/// Checks a second.
const RATE: f64 = 500.0;
/// Checks of a round.
const CHECKS: u32 = 2_000;
/// Sign-ins in flight: many more than cores.
const SIGN_INS: usize = 64;

/// Takes turns between rest and sign-ins.
pub(crate) async fn measure(bench: &mut Bench, mode: Mode) -> Result<Neighbours, Failed> {
    let count = bench.pace.rounds;
    let arena = bench.arena(mode, 1).await?;
    let checks = arena.work(WorkKind::CheckFresh, 4).await?;
    let sign_ins = arena.work(WorkKind::SignIn, 1).await?;
    let (mut at_rest, mut saturated) = (Vec::new(), Vec::new());
    for _ in 0..count {
        at_rest.push(p99(&checks).await?);
        saturated.push(beside(&checks, &sign_ins).await?);
        rest(&arena.subject.processes).await?;
    }
    let ratios = saturated.iter().zip(&at_rest).map(|(one, other)| one / other);
    let nothing = "a round was measured";
    Ok(Neighbours {
        mode: mode.to_string(),
        checks_per_second: RATE,
        ratio: Spread::of(ratios).ok_or(nothing)?,
        at_rest_p99_us: Spread::of(at_rest).ok_or(nothing)?,
        saturated_p99_us: Spread::of(saturated).ok_or(nothing)?,
    })
}

async fn p99(checks: &Arc<ApiWork>) -> Result<f64, Failed> {
    let driven = open(checks, arrivals(RATE, CHECKS)).await?;
    Ok(number(driven.latencies.percentiles().p99))
}

/// The checks' p99 while sign-ins wait for one another.
async fn beside(checks: &Arc<ApiWork>, sign_ins: &Arc<ApiWork>) -> Result<f64, Failed> {
    let shape = Closed {
        clients: SIGN_INS,
        warm_up: Duration::from_millis(500),
        counted: Duration::from_secs_f64(f64::from(CHECKS) / RATE),
    };
    let sign_ins = Arc::clone(sign_ins);
    let mut beside = JoinSet::new();
    beside.spawn(async move { closed(&sign_ins, shape, || {}).await });
    tokio::time::sleep(shape.warm_up).await;
    let p99 = p99(checks).await?;
    while let Some(ended) = beside.join_next().await {
        ended??;
    }
    Ok(p99)
}
