//! `tenure`: parses the command line and hands over.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use runtime::process;
use tenure::audit::AuditFailed;
use tenure::options::{AuditCommand, Cli, Command, KeysCommand, NAME, OperatorCommand, Settings};

fn main() -> ExitCode {
    let cli: Cli = runtime::options::parse(Cli::complete_command());
    match &cli.command {
        Some(Command::Health(health)) => runtime::health_check::run(NAME, health, cli.options.process()),
        Some(Command::Operator { command: OperatorCommand::Token { lifetime, key } }) => {
            operator_token(&cli, key.as_deref(), lifetime)
        }
        Some(Command::Audit { command }) => audit(command, cli.options.data_dir()),
        Some(Command::Keys { command: KeysCommand::Init { dir } }) => keys_init(dir),
        Some(Command::Demo { exit }) => run(&cli, Some(*exit)),
        Some(Command::Serve) | None => run(&cli, None),
    }
}

fn operator_token(cli: &Cli, key: Option<&Path>, lifetime: &str) -> ExitCode {
    let token = match key {
        Some(key) => tenure::operator::token(key, lifetime),
        None => tenure::operator::token(&tenure::operator::key_of(cli.options.data_dir()), lifetime),
    };
    print(token)
}

fn audit(command: &AuditCommand, data_dir: &Path) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return process::fail(NAME, &error),
    };
    match runtime.block_on(audited(command, data_dir)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => process::fail(NAME, &error),
    }
}

async fn audited(command: &AuditCommand, data_dir: &Path) -> Result<bool, AuditFailed> {
    let mut out = std::io::stdout();
    match command {
        AuditCommand::Verify { databases, seals } => {
            let sources = tenure::audit::sources(&databases.databases, data_dir)?;
            tenure::audit::verify(&sources, seals.as_deref(), &mut out).await
        }
        AuditCommand::Export { databases } => {
            let sources = tenure::audit::sources(&databases.databases, data_dir)?;
            tenure::audit::export(&sources, &mut out).await.map(|()| true)
        }
    }
}

fn keys_init(dir: &Path) -> ExitCode {
    let told = runtime::keys::init(dir).map(|trust| {
        format!(
            "private keys, one for each service: {}\npublic keys, for all: {}",
            dir.display(),
            trust.display()
        )
    });
    print(told)
}

fn print<E: Error>(told: Result<String, E>) -> ExitCode {
    match told {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => process::fail(NAME, &error),
    }
}

fn run(cli: &Cli, demo_exits: Option<bool>) -> ExitCode {
    let settings = match Settings::check(&cli.options, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(invalid) => return process::refuse(NAME, &invalid),
    };
    let telemetry = &settings.process.telemetry;
    match demo_exits {
        Some(exit) => process::run(NAME, telemetry, tenure::demo::run(&settings, exit)),
        None => process::run(NAME, telemetry, tenure::serve::serve(&settings)),
    }
}
