//! `subscription-service`: the subscription context in a process of its own.

use std::process::ExitCode;

use access::Service;
use clap::Parser;
use database::Migrations;
use runtime::options::Checking;
use runtime::server::ServiceParts;
use runtime::service_process::{PeerAddress, ServiceDeps, ServiceOptions, ServiceProgram, check_peer};
use runtime::worker::Worker;
use subscription_service::{Built, Deps, Options, PriceList, Settings};

/// The catalogue, orders, and subscriptions to Azure and Office 365, over gRPC.
#[derive(Debug, Parser)]
#[command(name = "subscription-service", version)]
struct Program {
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    own: Options,
    /// Address of identity-service, such as `http://identity:50052`; required.
    #[arg(long, env = "TENURE_IDENTITY", value_name = "URL", global = true)]
    identity: Option<String>,
    /// Address of directory-service, such as `http://directory:50051`; required.
    #[arg(long, env = "TENURE_DIRECTORY", value_name = "URL", global = true)]
    directory: Option<String>,
}

struct Own {
    identity: PeerAddress,
    directory: PeerAddress,
    prices: PriceList,
    settings: Settings,
}

impl ServiceProgram for Program {
    const SERVICE: Service = Service::Subscription;
    const LISTEN: &'static str = "127.0.0.1:50053";
    type Own = Own;

    fn options(&self) -> &ServiceOptions {
        &self.service
    }

    fn check_own(&self, checking: &mut Checking) -> Option<Own> {
        let identity = check_peer("--identity", Service::Identity, self.identity.as_deref(), checking);
        let directory = check_peer("--directory", Service::Directory, self.directory.as_deref(), checking);
        let (prices, settings) = self.own.check(checking)?;
        Some(Own { identity: identity?, directory: directory?, prices, settings })
    }

    fn migrations() -> Migrations {
        subscription_service::migrations()
    }

    fn build(deps: ServiceDeps, own: Own) -> (ServiceParts, Vec<Worker>) {
        let (identity, directory) = (deps.peer(own.identity), deps.peer(own.directory));
        let ServiceDeps { db, clock, ids, key, trust, issuer, write_limits, .. } = deps;
        let Own { prices, settings, .. } = own;
        let Built { parts, workers } = subscription_service::build(Deps {
            db,
            clock,
            ids,
            key,
            trust,
            issuer,
            identity,
            directory,
            prices,
            settings,
            write_limits,
        });
        (parts, workers)
    }
}

fn main() -> ExitCode {
    runtime::service_process::main::<Program>()
}
