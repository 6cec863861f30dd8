//! `identity-service`: the identity context in a process of its own.

use std::process::ExitCode;

use access::Service;
use clap::Parser;
use database::Migrations;
use identity_service::{Built, Decisions, Deps, Options, Settings};
use runtime::options::Checking;
use runtime::server::ServiceParts;
use runtime::service_process::{PeerAddress, ServiceDeps, ServiceOptions, ServiceProgram, check_peer};
use runtime::worker::Worker;

/// Users, sign-ups, sessions and directory roles, over gRPC.
#[derive(Debug, Parser)]
#[command(name = "identity-service", version)]
struct Program {
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    own: Options,
    /// Address of directory-service, such as `http://directory:50051`; required.
    #[arg(long, env = "TENURE_DIRECTORY", value_name = "URL", global = true)]
    directory: Option<String>,
}

struct Own {
    directory: PeerAddress,
    settings: Settings,
}

impl ServiceProgram for Program {
    const SERVICE: Service = Service::Identity;
    const LISTEN: &'static str = "127.0.0.1:50052";
    type Own = Own;

    fn options(&self) -> &ServiceOptions {
        &self.service
    }

    fn check_own(&self, checking: &mut Checking) -> Option<Own> {
        let directory = check_peer("--directory", Service::Directory, self.directory.as_deref(), checking);
        let settings = self.own.check(checking);
        Some(Own { directory: directory?, settings })
    }

    fn migrations() -> Migrations {
        identity_service::migrations()
    }

    fn build(deps: ServiceDeps, own: Own) -> (ServiceParts, Vec<Worker>) {
        let directory = deps.peer(own.directory);
        let ServiceDeps { db, clock, ids, key, trust, issuer, write_limits, .. } = deps;
        let settings = own.settings;
        // Other replicas write the same database, so no table of this process is the truth.
        let decisions = Decisions::Aged;
        let Built { parts, workers } = identity_service::build(Deps {
            db,
            clock,
            ids,
            key,
            trust,
            issuer,
            directory,
            settings,
            decisions,
            write_limits,
        });
        (parts, workers)
    }
}

fn main() -> ExitCode {
    runtime::service_process::main::<Program>()
}
