//! Which works are measured beside what, in which order.

use std::path::Path;

use crate::Failed;
use crate::bare::BareKind;
use crate::bench::{Baseline, Bench, Spec};
use crate::neighbours;
use crate::report::Report;
use crate::say;
use crate::subject::Mode;
use crate::work::WorkKind;

/// Directories enough that no run takes every product of each.
const ENOUGH_TO_ATTACH: usize = 512;
/// P-15 is looked at between these.
const FEW: usize = 1;
const MANY: usize = 10_000;

/// A work beside the baselines that its targets name.
pub(crate) fn spec(work: WorkKind, mode: Mode, clients: usize, directories: Vec<usize>) -> Spec {
    let baselines = match work {
        WorkKind::CheckCached | WorkKind::CheckFresh | WorkKind::CheckFreshOther | WorkKind::GetUser => {
            vec![Baseline::Echo, Baseline::Bare(BareKind::PointRead), Baseline::Bare(BareKind::CheckRead)]
        }
        WorkKind::CreateUser => vec![Baseline::Bare(BareKind::CreateUser)],
        WorkKind::Attach => {
            vec![Baseline::Bare(BareKind::CreateUser), Baseline::Bare(BareKind::Attach)]
        }
        WorkKind::SignIn => vec![Baseline::Bare(BareKind::Argon2)],
    };
    let least = if work == WorkKind::Attach { ENOUGH_TO_ATTACH } else { FEW };
    let mut directories: Vec<usize> = directories.into_iter().map(|number| number.max(least)).collect();
    directories.dedup();
    Spec { work, mode, clients, directories, baselines }
}

/// The one work of a quick look.
pub(crate) fn quick() -> Spec {
    spec(WorkKind::CheckFresh, Mode::Embedded, 64, vec![FEW])
}

/// Measures in order; what was measured is written after each.
pub(crate) async fn run(
    bench: &mut Bench,
    report: &mut Report,
    path: &Path,
    specs: &[Spec],
) -> Result<(), Failed> {
    for spec in specs {
        say(&format!("{} {} with {} clients", spec.mode, spec.work, spec.clients))?;
        report.cells.push(bench.cell(spec).await?);
        report.write(path)?;
    }
    Ok(())
}

/// Everything.
pub(crate) async fn all(
    bench: &mut Bench,
    report: &mut Report,
    path: &Path,
    modes: &[Mode],
) -> Result<(), Failed> {
    for mode in modes.iter().copied() {
        for directories in [FEW, MANY] {
            report.starts.push(bench.starts(mode, directories).await?);
        }
        // Reading before writing, so that all read the same data.
        run(bench, report, path, &specs(mode)).await?;
        report.neighbours.push(neighbours::measure(bench, mode).await?);
        report.write(path)?;
        bench.clear();
    }
    Ok(())
}

fn specs(mode: Mode) -> Vec<Spec> {
    let checks = [WorkKind::CheckCached, WorkKind::CheckFresh];
    let checks = checks.into_iter().flat_map(|work| [(work, 1), (work, 64), (work, 256)]);
    let reads = [WorkKind::CheckFreshOther, WorkKind::GetUser];
    let writes = [WorkKind::CreateUser, WorkKind::Attach, WorkKind::SignIn];
    let others = reads.into_iter().chain(writes).flat_map(|work| [(work, 1), (work, 64)]);
    checks.chain(others).map(|(work, clients)| spec(work, mode, clients, vec![FEW, MANY])).collect()
}
