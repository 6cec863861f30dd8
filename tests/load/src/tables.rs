//! A report as Markdown: what was measured, and how far it is from the targets.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Failed;
use crate::measure::{Results, Sample, Spread, number};
use crate::report::{Cell, Report, Start};
use crate::work::WorkKind;

const BEGIN: &str = "<!-- figures: written by `load tables` -->";
const END: &str = "<!-- end of figures -->";

/// Replaces what stands between the marks of a file.
pub(crate) fn put(report: &Report, path: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    Ok(fs::write(path, between(&text, &all(report)).ok_or("the file has no marks for figures")?)?)
}

fn between(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))
}

/// All tables.
pub(crate) fn all(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "Taken with `load {}` at commit {}: {} × {}, {} MiB, Linux {}, {}; load before: {}.\n\n",
        report.command.join(" "),
        machine.commit,
        machine.cores,
        machine.processor,
        machine.memory_mib,
        machine.kernel,
        machine.rust,
        machine.load_before,
    );
    let sections = [targets(report), ratios(&report.cells), figures(&report.cells), starts(report)];
    text.push_str(&sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n"));
    text
}

/// One target, what was measured for it, and whether that is enough.
struct Judged {
    id: &'static str,
    what: String,
    target: &'static str,
    measured: Spread,
    met: bool,
}

fn targets(report: &Report) -> String {
    let mut judged: Vec<Judged> = report.cells.iter().flat_map(of_cell).collect();
    judged.extend(report.neighbours.iter().map(|one| Judged {
        id: "F-6",
        what: format!("{} check-fresh beside sign-ins: p99 to p99 at rest", one.mode),
        target: "at most 2",
        measured: one.ratio,
        met: one.ratio.median <= 2.0,
    }));
    // The target is that of one process with all three services in it.
    judged.extend(report.starts.iter().filter(|start| start.mode == "embedded").flat_map(of_start));
    if judged.is_empty() {
        return String::new();
    }
    let mut text = "| id | what | target | median (range) | met |\n|---|---|---|---|---|\n".to_owned();
    for Judged { id, what, target, measured, met } in judged {
        let met = if met { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {id} | {what} | {target} | {} | {met} |", spread(measured));
    }
    text
}

fn of_start(start: &Start) -> [Judged; 3] {
    let below = |what: &str, target: &'static str, limit: f64, measured: Spread| Judged {
        id: "F-10",
        what: format!("{} with {} directories: {what}", start.mode, start.directories),
        target,
        measured,
        met: measured.median < limit,
    };
    let size = number(start.binary_bytes) / 1e6;
    let size = Spread { median: size, least: size, most: size };
    [
        below("cold start, ms", "under 50", 50.0, start.cold_start_ms),
        below("memory at rest, MiB", "under 40", 40.0, start.idle_memory_mib),
        below("binary, MB", "under 25", 25.0, size),
    ]
}

fn of_cell(cell: &Cell) -> Vec<Judged> {
    let mut judged = Vec::new();
    for ratio in &cell.ratios {
        let Some((id, target, enough)) = target_of(cell, &ratio.to) else { continue };
        let what =
            format!("{} {}, {} clients, {} to {}", cell.mode, cell.work, cell.clients, ratio.of, ratio.to);
        let met = enough(ratio.per_second.median);
        judged.push(Judged { id, what, target, measured: ratio.per_second, met });
    }
    if cell.work == WorkKind::Attach && cell.clients == 64 {
        for one in cell.results.iter().filter(|one| crate::bench::is_subject(one)) {
            let tail = |sample: &Sample| number(sample.latency_us.p99) / number(sample.latency_us.p50);
            let Some(measured) = Spread::of(one.rounds.iter().map(tail)) else { continue };
            let what = format!("{} attach, 64 clients, {}: p99 to p50", cell.mode, one.name);
            judged.push(Judged { id: "F-5", what, target: "under 4", measured, met: measured.median < 4.0 });
        }
    }
    judged
}

type Enough = fn(f64) -> bool;

/// The target that a ratio of a cell is for.
fn target_of(cell: &Cell, to: &str) -> Option<(&'static str, &'static str, Enough)> {
    let is_subject = to.ends_with("directories") || to == "1 directory";
    match (cell.work, cell.clients, to) {
        (_, _, _) if is_subject => Some(("P-15", "0.85 to 1.15", |ratio| (0.85..=1.15).contains(&ratio))),
        (WorkKind::CheckCached, 256, "echo") => Some(("F-1", "at least 0.7", |ratio| ratio >= 0.7)),
        (WorkKind::CheckFresh, 256, "echo") if cell.mode == "embedded" => {
            Some(("F-2", "at least 0.6, from the table", |ratio| ratio >= 0.6))
        }
        (WorkKind::CheckFresh, 256, "echo") if cell.mode == "split-sqlite" => {
            Some(("F-2", "at least 0.35, from the database", |ratio| ratio >= 0.35))
        }
        (WorkKind::CheckFresh, 64, "bare point-read") if cell.mode.ends_with("postgres") => {
            Some(("F-2", "at least 0.7", |ratio| ratio >= 0.7))
        }
        (WorkKind::CreateUser, 64, "bare create-user") => Some(("F-4", "at least 0.6", |ratio| ratio >= 0.6)),
        (WorkKind::Attach, 64, "bare create-user") => Some(("F-5", "at least 0.3", |ratio| ratio >= 0.3)),
        (WorkKind::SignIn, 64, "bare argon2") => Some(("F-6", "at least 0.95", |ratio| ratio >= 0.95)),
        _ => None,
    }
}

fn ratios(cells: &[Cell]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let mut text =
        "| mode | work | clients | of | to | calls a second, ratio (range) | CPU a call, ratio (range) |\n\
        |---|---|---|---|---|---|---|\n"
            .to_owned();
    for cell in cells {
        for ratio in &cell.ratios {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                cell.mode,
                cell.work,
                cell.clients,
                ratio.of,
                ratio.to,
                spread(ratio.per_second),
                spread(ratio.cpu_per_call)
            );
        }
    }
    text
}

fn figures(cells: &[Cell]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let mut text = "| mode | work | clients | who | calls/s (range) | p50 µs | p99 µs | CPU µs/call | memory MiB | unrest s |\n\
        |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for cell in cells {
        for one in &cell.results {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                cell.mode,
                cell.work,
                cell.clients,
                one.name,
                row(one)
            );
        }
    }
    text
}

fn row(one: &Results) -> String {
    let median = |figure: fn(&Sample) -> f64| {
        Spread::of(one.rounds.iter().map(figure)).map_or(0.0, |spread| spread.median)
    };
    let rate = Spread::of(one.rounds.iter().map(|sample| sample.per_second));
    format!(
        "{} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1}",
        rate.map_or_else(String::new, |rate| format!(
            "{:.0} ({:.0}–{:.0})",
            rate.median, rate.least, rate.most
        )),
        median(|sample| number(sample.latency_us.p50)),
        median(|sample| number(sample.latency_us.p99)),
        median(|sample| sample.cpu_us_per_call),
        median(|sample| number(sample.memory_kib.0) / 1024.0),
        median(|sample| sample.unrest_seconds),
    )
}

fn starts(report: &Report) -> String {
    if report.starts.is_empty() {
        return String::new();
    }
    let mut text =
        "| mode | directories | cold start ms | memory at rest MiB | binary MB |\n|---|---|---|---|---|\n"
            .to_owned();
    for start in &report.starts {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} |",
            start.mode,
            start.directories,
            spread(start.cold_start_ms),
            spread(start.idle_memory_mib),
            number(start.binary_bytes) / 1e6
        );
    }
    text
}

fn spread(figure: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", figure.median, figure.least, figure.most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerun_replaces_the_figures_and_nothing_else() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = between(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"));
        assert_eq!(between(&once, "| new |\n").unwrap(), once);
        assert_eq!(between("no marks", "| new |"), None);
    }
}
