//! What measurements stand on: prepared data, running subjects with callers, baselines.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime::clock::system_ids;

use crate::Failed;
use crate::bare::BareKind;
use crate::data::Data;
use crate::drive::Closed;
use crate::echo::EchoWork;
use crate::measure::{AnyWork, Contestant, Results, Spread, rounds};
use crate::people::{self, Caller, Person};
use crate::process::{Process, memory_of, rest};
use crate::report::{Cell, Start};
use crate::subject::{Mode, Subject, Surroundings, connect};
use crate::work::{ApiWork, Stage, WorkKind};

/// Callers sign in again when their tokens are this old, which last ten minutes.
const TOKEN_AGE: Duration = Duration::from_mins(4);
/// Connections over which many clients call.
const CONNECTIONS: usize = 4;

/// How long and how often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) counted: Duration,
}

/// What is measured beside what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) work: WorkKind,
    pub(crate) mode: Mode,
    pub(crate) clients: usize,
    /// One subject for each number of directories.
    pub(crate) directories: Vec<usize>,
    pub(crate) baselines: Vec<Baseline>,
}

/// What a subject is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Baseline {
    Echo,
    Bare(BareKind),
}

/// A subject with its callers.
pub(crate) struct Arena {
    pub(crate) subject: Subject,
    stage: Arc<Stage>,
    callers: Arc<Vec<Caller>>,
    signed_in: Instant,
    _data: Data,
}

/// Everything that runs.
pub(crate) struct Bench {
    around: Surroundings,
    templates: PathBuf,
    pub(crate) pace: Pace,
    echo: (String, Process),
    /// By how Tenure is run and how many directories it has.
    arenas: HashMap<(Mode, usize), Arena>,
    copies: usize,
    _collector: Process,
}

impl Bench {
    /// Starts what is beside every subject; prepared data is kept in `templates`.
    pub(crate) fn open(bin_dir: &Path, templates: &Path, scratch: &Path, pace: Pace) -> Result<Self, Failed> {
        let own = std::env::current_exe()?;
        let server = |name: &str| -> Result<(String, Process), Failed> {
            let mut process =
                Process::start(&own, &["echo-server".to_owned()], &scratch.join(format!("{name}.log")))?;
            Ok((process.address()?, process))
        };
        let (collector, swallowing) = server("collector")?;
        let around = Surroundings { bin_dir: bin_dir.to_owned(), collector, scratch: scratch.to_owned() };
        // The names of databases follow from it, and a server may serve several checkouts.
        let templates = std::path::absolute(templates)?.join(version(&bin_dir.join("tenure"))?);
        let arenas = HashMap::new();
        Ok(Self { around, templates, pace, echo: server("echo")?, arenas, copies: 0, _collector: swallowing })
    }

    /// Measures one work beside its baselines.
    pub(crate) async fn cell(&mut self, spec: &Spec) -> Result<Cell, Failed> {
        // Those that nobody measures now would hold a database server's connections.
        self.arenas.retain(|(_, size), _| spec.directories.contains(size));
        for size in &spec.directories {
            self.arena(spec.mode, *size).await?;
        }
        let connections = spec.clients.min(CONNECTIONS);
        let mut bare = Vec::new();
        for baseline in &spec.baselines {
            if let Baseline::Bare(kind) = baseline {
                bare.push((*kind, self.bare(*kind, spec).await?));
            }
        }
        let mut contestants = Vec::new();
        for size in &spec.directories {
            let arena = &self.arenas[&(spec.mode, *size)];
            contestants.push(arena.contestant(spec.work, *size, connections).await?);
        }
        if spec.baselines.contains(&Baseline::Echo) {
            let work = AnyWork::Echo(Arc::new(EchoWork::new(connect(&self.echo.0, connections).await?)));
            let processes = std::slice::from_ref(&self.echo.1);
            contestants.push(Contestant::Called { name: "echo".to_owned(), work, processes });
        }
        for (kind, (process, _data)) in &mut bare {
            contestants.push(Contestant::Bare { name: format!("bare {kind}"), process });
        }
        let Pace { rounds: count, warm_up, counted } = self.pace;
        let results =
            rounds(&mut contestants, Closed { clients: spec.clients, warm_up, counted }, count).await?;
        Ok(Cell::new(spec, connections, self.pace, results))
    }

    /// A subject with this many directories, its callers' tokens fresh.
    pub(crate) async fn arena(&mut self, mode: Mode, directories: usize) -> Result<&Arena, Failed> {
        if !self.arenas.contains_key(&(mode, directories)) {
            let data = self.copy(mode, directories).await?;
            let arena = Arena::open(mode, data, &self.around).await?;
            self.arenas.insert((mode, directories), arena);
        }
        let arena = self.arenas.get_mut(&(mode, directories)).ok_or("an arena was just made")?;
        if arena.signed_in.elapsed() > TOKEN_AGE {
            arena.renew().await?;
        }
        Ok(arena)
    }

    /// Ends the subjects that run, for others to have the machine.
    pub(crate) fn clear(&mut self) {
        self.arenas.clear();
    }

    /// Starts of a subject: how soon it answers, and what it holds at rest.
    pub(crate) async fn starts(&mut self, mode: Mode, directories: usize) -> Result<Start, Failed> {
        let data = self.copy(mode, directories).await?;
        let (mut times, mut memory) = (Vec::new(), Vec::new());
        for _ in 0..self.pace.rounds.max(3) {
            let subject = Subject::start(mode, &data, &self.around).await?;
            times.push(subject.cold_start.as_secs_f64() * 1e3);
            rest(&subject.processes).await?;
            memory.push(crate::measure::number(memory_of(&subject.processes)?.0) / 1024.0);
            subject.stop()?;
        }
        let nothing = "a start was measured";
        Ok(Start {
            mode: mode.to_string(),
            directories,
            cold_start_ms: Spread::of(times).ok_or(nothing)?,
            idle_memory_mib: Spread::of(memory).ok_or(nothing)?,
            binary_bytes: std::fs::metadata(self.around.bin_dir.join("tenure"))?.len(),
        })
    }

    /// Prepared data of its own; prepared now where it never was.
    async fn copy(&mut self, mode: Mode, directories: usize) -> Result<Data, Failed> {
        let name = format!("{mode}-{directories}");
        let template = Data::at(&self.templates, &name, mode.is_on_postgres());
        // Written last: what was left half done has none.
        if !people::is_written(template.folder()) || !template.has_databases().await? {
            self.prepare(mode, directories, &name).await?;
        }
        self.copies += 1;
        template.copy(&self.around.scratch, &format!("data-{}", self.copies)).await
    }

    async fn prepare(&self, mode: Mode, directories: usize, name: &str) -> Result<(), Failed> {
        let mut data = Data::fresh(&self.templates, name, mode.is_on_postgres()).await?;
        let subject = Subject::start(mode, &data, &self.around).await?;
        let people = people::sign_up(&subject, directories, &system_ids()).await?;
        rest(&subject.processes).await?;
        subject.stop()?;
        people::write(data.folder(), &people)?;
        data.keep();
        Ok(())
    }

    async fn bare(&mut self, kind: BareKind, spec: &Spec) -> Result<(Process, Data), Failed> {
        let directories = spec.directories.iter().min().ok_or("a subject has directories")?;
        let data = self.copy(spec.mode, *directories).await?;
        let database = data.database_url(kind.context());
        let arguments = ["bare".to_owned(), kind.to_string(), database];
        let log = self.around.scratch.join(format!("bare-{kind}.log"));
        Ok((Process::start(&std::env::current_exe()?, &arguments, &log)?, data))
    }
}

impl Arena {
    async fn open(mode: Mode, data: Data, around: &Surroundings) -> Result<Self, Failed> {
        let people = people::read(data.folder())?;
        let subject = Subject::start(mode, &data, around).await?;
        let callers = Arc::new(people::sign_in(&subject, people).await?);
        let first = callers.first().ok_or("nobody calls")?;
        let stage = Arc::new(Stage::new(&subject, first, system_ids()).await?);
        rest(&subject.processes).await?;
        Ok(Self { subject, stage, callers, signed_in: Instant::now(), _data: data })
    }

    async fn renew(&mut self) -> Result<(), Failed> {
        let people: Vec<Person> = self.callers.iter().map(|caller| caller.person.clone()).collect();
        self.callers = Arc::new(people::sign_in(&self.subject, people).await?);
        self.signed_in = Instant::now();
        rest(&self.subject.processes).await?;
        Ok(())
    }

    /// Calls of one kind over connections of their own.
    pub(crate) async fn work(&self, kind: WorkKind, connections: usize) -> Result<Arc<ApiWork>, Failed> {
        let work = ApiWork::new(kind, &self.stage, &self.callers, &self.subject, connections).await?;
        Ok(Arc::new(work))
    }

    async fn contestant(
        &self,
        kind: WorkKind,
        directories: usize,
        connections: usize,
    ) -> Result<Contestant<'_>, Failed> {
        let work = AnyWork::Api(self.work(kind, connections).await?);
        Ok(Contestant::Called { name: subject_name(directories), work, processes: &self.subject.processes })
    }
}

/// A subject's name among the results.
pub(crate) fn subject_name(directories: usize) -> String {
    if directories == 1 { "1 directory".to_owned() } else { format!("{directories} directories") }
}

/// Data that one build made is not shown to another: the name of its folder.
fn version(binary: &Path) -> Result<String, Failed> {
    let bytes =
        std::fs::read(binary).map_err(|error| format!("{} cannot be read: {error}", binary.display()))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// The subjects' results, which carry the names of their numbers of directories.
pub(crate) fn is_subject(results: &Results) -> bool {
    results.name.ends_with(" directories") || results.name == "1 directory"
}
