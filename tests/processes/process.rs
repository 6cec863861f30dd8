//! Starts any of the four binaries, waits until it serves, stops it, kills it, and starts it again where it was.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use database::fail_point::VARIABLE;
use tokio::net::TcpSocket;
use tonic::transport::{Channel, Endpoint};

/// How long a process may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(40);

/// A binary with what it is told; can be started any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Program {
    /// `tenure`, or the name of a service.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, arguments: Vec::new(), environment: Vec::new() }
    }

    pub(crate) fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Gives it another database than the one that it was told.
    pub(crate) fn database(mut self, url: &str) -> Self {
        let flag = self.arguments.iter().position(|argument| argument == "--database-url");
        let value = flag.and_then(|flag| self.arguments.get_mut(flag + 1)).expect("it was told one");
        url.clone_into(value);
        self
    }

    /// Sets a variable, such as the one that names a fail point.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Output {
        self.command().output().expect("the binary runs")
    }

    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(&self) -> Process {
        self.try_start().unwrap_or_else(|told| panic!("{} does not serve: {told}", self.name))
    }

    /// As [`Self::start`]; where it ends instead, what it said.
    pub(crate) fn try_start(&self) -> Result<Process, String> {
        let mut command = self.command();
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let log = Log::follow(child.stderr.take().expect("standard error is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("standard output is text");
        let said = line.trim().strip_prefix(self.name).and_then(|rest| rest.strip_prefix(" is serving on "));
        let Some(address) = said else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(line + &log.whole());
        };
        let address = address.parse().expect("an address is told");
        Ok(Process { program: self.clone(), child, address, stdout, log: Some(log) })
    }

    /// The command, without any variable of the surroundings that would configure it.
    fn command(&self) -> Command {
        let mut command = test_support::binary::command(binary(self.name));
        command.env_remove(VARIABLE).args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }
}

/// The binary beside this test's own; cargo builds them all for the whole workspace only.
fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test has a file");
    let folder = own.parent().and_then(|deps| deps.parent()).expect("tests stand in `deps`");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run the tests with --workspace", path.display());
    path
}

/// A port that nobody else is given while this lives, and on which a process can listen, again and again.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    /// Bound and never listening: the system keeps the port, and lets whoever names it listen there.
    _held: TcpSocket,
}

impl Port {
    pub(crate) fn hold() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.set_reuseaddr(true).expect("it can be shared");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        Self { address: socket.local_addr().expect("it has an address"), _held: socket }
    }
}

/// A process that serves; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    program: Program,
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Option<Log>,
}

impl Process {
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.address)).expect("an address makes a URI");
        endpoint.connect().await.expect("the process listens")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.as_ref().expect("only the end takes the log").so_far()
    }

    /// Kills it as a power loss would; gives the program, to start it where it was.
    pub(crate) fn kill(mut self) -> Program {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        self.where_it_was()
    }

    /// Waits until it ends by itself, as it does at a fail point.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("its end can be asked for") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end: {}", self.program.name, self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program with the address that this process had; where it was told to die, it is not told again.
    pub(crate) fn where_it_was(&self) -> Program {
        let mut program = self.program.clone();
        program.environment.retain(|(name, _)| name != VARIABLE);
        if let Some(at) = program.arguments.iter().position(|argument| argument == "--listen") {
            program.arguments.drain(at..=at + 1);
        }
        program.args(["--listen".to_owned(), self.address.to_string()])
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn ask_to_stop(&self) {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
    }

    /// Asks it to stop; gives its exit code and everything that it has said.
    ///
    /// Meanwhile the test's own connections go on, since the process waits until they are closed.
    pub(crate) async fn stop(mut self) -> (Option<i32>, String) {
        self.ask_to_stop();
        let ended = tokio::task::spawn_blocking(move || {
            let status = self.ended();
            let mut told = self.log.take().expect("only the end takes the log").whole();
            self.stdout.read_to_string(&mut told).expect("standard output is text");
            (status.code(), told)
        });
        ended.await.expect("waiting does not fail")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Standard error, read all the time: a full pipe would hold the process up.
#[derive(Debug)]
struct Log {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Log {
    fn follow(stream: impl std::io::Read + Send + 'static) -> Self {
        let text: Arc<Mutex<String>> = Arc::default();
        let into = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                let mut text = into.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Everything, once the process has ended.
    fn whole(self) -> String {
        self.reader.join().expect("reading does not fail");
        Arc::try_unwrap(self.text).expect("the reader has ended").into_inner().unwrap()
    }
}
