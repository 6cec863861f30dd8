//! `tenure`: parses the command line and hands over.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use runtime::config::EXIT_CONFIG_INVALID;
use tenure::options::{Cli, Command, OperatorCommand, Settings};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::Operator { command: OperatorCommand::Token { lifetime } }) => {
            operator_token(&cli, lifetime)
        }
        Some(Command::Demo { exit }) => run(&cli, Some(*exit)),
        Some(Command::Serve) | None => run(&cli, None),
    };
    result.unwrap_or_else(|failed| failed)
}

fn operator_token(cli: &Cli, lifetime: &str) -> Result<ExitCode, ExitCode> {
    let token = tenure::operator::token(cli.options.data_dir(), lifetime).map_err(|error| fail(&error))?;
    let _ = writeln!(std::io::stdout(), "{token}");
    Ok(ExitCode::SUCCESS)
}

fn run(cli: &Cli, demo_exits: Option<bool>) -> Result<ExitCode, ExitCode> {
    let settings = Settings::check(&cli.options, std::env::vars_os()).map_err(|invalid| {
        fail(&invalid);
        ExitCode::from(EXIT_CONFIG_INVALID)
    })?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| fail(&error))?;
    runtime.block_on(async {
        let telemetry = runtime::telemetry::init(&settings.telemetry);
        let code = match demo_exits {
            Some(exit) => tenure::demo::run(&settings, exit).await.map_err(|error| fail(&error)),
            None => tenure::serve::serve(&settings).await.map_err(|error| fail(&error)),
        };
        telemetry.shutdown().await;
        code
    })
}

/// Tells an error with its causes, once.
fn fail(error: &dyn Error) -> ExitCode {
    let mut text = format!("tenure: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
