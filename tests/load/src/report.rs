//! What came of a run, as it is written: figures of all rounds, and where and how they were taken.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Failed;
use crate::bench::{Pace, Spec, is_subject};
use crate::measure::{Results, Spread};
use crate::work::WorkKind;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// The arguments of the program.
    pub(crate) command: Vec<String>,
    /// Seconds since the Unix epoch.
    pub(crate) started: i64,
    pub(crate) cells: Vec<Cell>,
    pub(crate) starts: Vec<Start>,
    pub(crate) neighbours: Vec<Neighbours>,
}

/// Where the figures were taken.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) rust: String,
    pub(crate) commit: String,
    /// Runnable processes when the run began: the rest of the machine.
    pub(crate) load_before: String,
}

/// One work beside its baselines.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) work: WorkKind,
    pub(crate) mode: String,
    pub(crate) clients: usize,
    pub(crate) connections: usize,
    pub(crate) counted_seconds: f64,
    pub(crate) results: Vec<Results>,
    pub(crate) ratios: Vec<Ratio>,
}

/// A figure of one, divided by that of the other in the same round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    pub(crate) of: String,
    pub(crate) to: String,
    pub(crate) per_second: Spread,
    /// A baseline that drives itself has its clients' processor time in its own.
    pub(crate) cpu_per_call: Spread,
}

/// How a subject starts and what it holds at rest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) mode: String,
    pub(crate) directories: usize,
    pub(crate) cold_start_ms: Spread,
    pub(crate) idle_memory_mib: Spread,
    pub(crate) binary_bytes: u64,
}

/// Checks at a fixed rate while nothing else is called, and while sign-ins fill the machine (F-6).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    pub(crate) mode: String,
    pub(crate) checks_per_second: f64,
    pub(crate) at_rest_p99_us: Spread,
    pub(crate) saturated_p99_us: Spread,
    pub(crate) ratio: Spread,
}

impl Cell {
    pub(crate) fn new(spec: &Spec, connections: usize, pace: Pace, results: Vec<Results>) -> Self {
        let mut ratios = Vec::new();
        for (index, one) in results.iter().enumerate().filter(|(_, one)| is_subject(one)) {
            // Every baseline, and the subjects before it: the larger is compared with the smaller.
            let others = results.iter().enumerate().filter(|(at, other)| !is_subject(other) || *at < index);
            for (_, other) in others {
                let per_second = Spread::ratio(one, other, |sample| sample.per_second);
                let cpu = Spread::ratio(one, other, |sample| sample.cpu_us_per_call);
                if let Some((per_second, cpu_per_call)) = per_second.zip(cpu) {
                    ratios.push(Ratio {
                        of: one.name.clone(),
                        to: other.name.clone(),
                        per_second,
                        cpu_per_call,
                    });
                }
            }
        }
        Self {
            work: spec.work,
            mode: spec.mode.to_string(),
            clients: spec.clients,
            connections,
            counted_seconds: pace.counted.as_secs_f64(),
            results,
            ratios,
        }
    }
}

impl Report {
    /// A report without figures yet.
    pub(crate) fn begin() -> Result<Self, Failed> {
        Ok(Self {
            machine: Machine::here()?,
            command: std::env::args().skip(1).collect(),
            started: runtime::clock::system_clock().now().seconds(),
            cells: Vec::new(),
            starts: Vec::new(),
            neighbours: Vec::new(),
        })
    }

    /// Writes it; after each cell, so that a run that fails keeps what it had.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failed> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failed> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}

impl Machine {
    fn here() -> Result<Self, Failed> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kib = memory.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
        Ok(Self {
            processor: model.unwrap_or("unknown").trim_start_matches([':', ' ', '\t']).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: kib.unwrap_or_default() / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            rust: said("rustc", &["--version"]),
            commit: said("git", &["rev-parse", "--short", "HEAD"]),
            load_before: fs::read_to_string("/proc/loadavg")?.trim().to_owned(),
        })
    }
}

/// What a program says of itself, where it is there.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
