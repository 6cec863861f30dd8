//! A process that is measured: started by us, its output read line by line, its cost read from `/proc`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failed;

/// Linux tells the time of processes in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// A process is at rest when it used less than this in [`LOOK`].
const REST: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(250);
/// How long a process may go on working after a round before the next begins all the same.
const LONGEST_UNREST: Duration = Duration::from_secs(20);

/// A child process; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it logs goes to a file, so that no full pipe ever stops it.
    pub(crate) fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self, Failed> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
        for (name, _) in std::env::vars_os() {
            // Nothing of the surroundings configures what is measured.
            if ["TENURE_", "OTEL_", "RUST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let started = command.spawn();
        let mut child = started.map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Ok(Self { child, stdin, stdout, log: log.to_owned() })
    }

    /// The next line that it writes; its log is told where there is none.
    pub(crate) fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("a process has ended: {}", fs::read_to_string(&self.log)?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The address behind ` on ` in the line by which a server says that it listens.
    pub(crate) fn address(&mut self) -> Result<String, Failed> {
        let line = self.line()?;
        let address = line.rsplit_once(" on ").map(|(_, address)| address.to_owned());
        address.ok_or_else(|| format!("not the line of a server: {line}").into())
    }

    /// Gives it a line, and waits for its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String, Failed> {
        writeln!(self.stdin, "{line}")?;
        self.stdin.flush()?;
        self.line()
    }

    /// The processor time that it has used.
    pub(crate) fn cpu(&self) -> Result<Duration, Failed> {
        cpu(&fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?)
    }

    /// The memory that it holds, and the most that it ever held, in KiB.
    pub(crate) fn memory(&self) -> Result<(u64, u64), Failed> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok((kib(&status, "VmRSS:")?, kib(&status, "VmHWM:")?))
    }

    /// Asks it to stop in order, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Failed> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{status}: {}", fs::read_to_string(&self.log)?).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time of this process.
pub(crate) fn own_cpu() -> Result<Duration, Failed> {
    cpu(&fs::read_to_string("/proc/self/stat")?)
}

/// The processor time of several.
pub(crate) fn cpu_of(processes: &[Process]) -> Result<Duration, Failed> {
    processes.iter().map(Process::cpu).sum()
}

/// The memory of several, and the sum of the most that each held, in KiB.
pub(crate) fn memory_of(processes: &[Process]) -> Result<(u64, u64), Failed> {
    let mut sum = (0, 0);
    for process in processes {
        let (now, most) = process.memory()?;
        sum = (sum.0 + now, sum.1 + most);
    }
    Ok(sum)
}

/// Waits until the processes have done what a round left to their workers; says how long that took.
pub(crate) async fn rest(processes: &[Process]) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let mut before = cpu_of(processes)?;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = cpu_of(processes)?;
        if now.saturating_sub(before) <= REST || begun.elapsed() > LONGEST_UNREST {
            return Ok(begun.elapsed().saturating_sub(LOOK));
        }
        before = now;
    }
}

/// User and system time of a line of `/proc/PID/stat`; the name before them may hold anything.
fn cpu(stat: &str) -> Result<Duration, Failed> {
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    let ticks: Option<u32> = fields.and_then(|fields| {
        let both: Vec<u32> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        (both.len() == 2).then(|| both.iter().sum())
    });
    ticks.map(|ticks| TICK * ticks).ok_or_else(|| "/proc/PID/stat has another form".into())
}

fn kib(status: &str, field: &str) -> Result<u64, Failed> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse().ok());
    number.ok_or_else(|| "/proc/PID/status has another form".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 0 0 0 123 77 5 6 20 0 4 0 100";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(2));
        assert!(cpu("42").is_err());
    }

    #[test]
    fn memory_is_read_in_kib() {
        assert_eq!(kib("VmHWM:\t  900 kB\nVmRSS:\t  800 kB\n", "VmRSS:").unwrap(), 800);
    }
}
