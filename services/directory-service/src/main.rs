//! `directory-service`: the directory context in a process of its own.

use std::process::ExitCode;

use access::Service;
use clap::Parser;
use database::Migrations;
use directory_service::{Built, Deps, Options, Settings};
use runtime::options::Checking;
use runtime::server::ServiceParts;
use runtime::service_process::{PeerAddress, ServiceDeps, ServiceOptions, ServiceProgram, check_peer};
use runtime::worker::Worker;

/// Directories, their domains, and the liens on them, over gRPC.
#[derive(Debug, Parser)]
#[command(name = "directory-service", version)]
struct Program {
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    own: Options,
    /// Address of identity-service, such as `http://identity:50052`; required.
    #[arg(long, env = "TENURE_IDENTITY", value_name = "URL", global = true)]
    identity: Option<String>,
}

struct Own {
    identity: PeerAddress,
    settings: Settings,
}

impl ServiceProgram for Program {
    const SERVICE: Service = Service::Directory;
    const LISTEN: &'static str = "127.0.0.1:50051";
    type Own = Own;

    fn options(&self) -> &ServiceOptions {
        &self.service
    }

    fn check_own(&self, checking: &mut Checking) -> Option<Own> {
        let identity = check_peer("--identity", Service::Identity, self.identity.as_deref(), checking);
        let settings = self.own.check(checking);
        Some(Own { identity: identity?, settings: settings? })
    }

    fn migrations() -> Migrations {
        directory_service::migrations()
    }

    fn build(deps: ServiceDeps, own: Own) -> (ServiceParts, Vec<Worker>) {
        let identity = deps.peer(own.identity);
        let ServiceDeps { db, clock, ids, key, trust, issuer, write_limits, .. } = deps;
        let Settings { initial_domain_suffix, dns_servers } = own.settings;
        let Built { parts, workers } = directory_service::build(Deps {
            db,
            clock,
            ids,
            key,
            trust,
            issuer,
            identity,
            initial_domain_suffix,
            dns_servers,
            write_limits,
        });
        (parts, workers)
    }
}

fn main() -> ExitCode {
    runtime::service_process::main::<Program>()
}
