//! What can be said of `docker-compose.yml` without running anything: its parts fit each other, and the image.

use std::collections::BTreeSet;

use super::file::{Compose, Service, Variables, parse};
use super::image;

fn defaults() -> Compose {
    Compose::read(&Variables::new())
}

fn ours(compose: &Compose) -> impl Iterator<Item = (&String, &Service)> {
    compose.services.iter().filter(|(_, service)| service.is_ours())
}

/// The name and the path of a volume's mount.
fn mount(volume: &str) -> (&str, &str) {
    let mut parts = volume.split(':');
    (parts.next().unwrap(), parts.next().expect("a mount has a path"))
}

#[test]
fn nothing_waits_for_what_is_not_there_or_for_itself() {
    let compose = defaults();
    let mut started = BTreeSet::new();
    while started.len() < compose.services.len() {
        let next = compose.services.iter().find(|(name, service)| {
            !started.contains(*name) && service.depends_on.keys().all(|other| started.contains(other))
        });
        let (name, service) =
            next.unwrap_or_else(|| panic!("a circle, or an unknown name, after {started:?}"));
        for (other, dependency) in &service.depends_on {
            let other = compose.service(other);
            match dependency.condition.as_str() {
                "service_healthy" => assert!(other.healthcheck.is_some(), "{name} waits for ever"),
                // One that is started again whenever it ends has never completed.
                "service_completed_successfully" => assert_eq!(other.restart, None),
                condition => panic!("{name}: {condition}"),
            }
        }
        started.insert(name.clone());
    }
}

/// K34: nobody waits for a peer; and what serves is there again after a host's restart, database or not.
#[test]
fn services_wait_for_storage_and_keys_alone_and_are_started_again() {
    let compose = defaults();
    for name in ["directory-service", "identity-service", "subscription-service"] {
        let service = compose.service(name);
        let awaited: Vec<_> = service.depends_on.keys().collect();
        assert_eq!(awaited, ["keys", "postgres"], "{name}");
    }
    for (name, service) in &compose.services {
        let ends = name == "keys";
        assert_eq!(service.restart.as_deref(), (!ends).then_some("unless-stopped"), "{name}");
    }
}

#[test]
fn one_process_stands_alone_in_its_profile() {
    let compose = defaults();
    let profiled: Vec<_> =
        compose.services.iter().filter(|(_, service)| !service.profiles.is_empty()).collect();
    let [(name, service)] = profiled[..] else { panic!("{profiled:?}") };
    assert_eq!((name.as_str(), &service.profiles[..]), ("tenure", &["embedded".to_owned()][..]));
    assert!(service.depends_on.is_empty(), "it would take others along");
    assert_eq!(compose.name, "tenure", "volumes are named after the project, not after a folder");
}

#[test]
fn each_process_of_ours_knows_its_variables_and_flags() {
    let compose = defaults();
    for (name, service) in ours(&compose) {
        let help = service.program().args(["--help"]).run();
        let told = String::from_utf8([help.stdout, help.stderr].concat()).unwrap();
        assert!(help.status.success(), "{name}: {told}");
        for variable in service.environment.keys() {
            // With its value, unless that is a secret.
            let known = ["=", "]"].iter().any(|end| told.contains(&format!("[env: {variable}{end}")));
            assert!(known, "{name} knows no {variable}");
        }
        if let Some(check) = &service.healthcheck {
            assert_eq!(check.test[1], service.command[0], "{name} is asked by another binary");
            let help = service.health().args(["--help"]).run();
            assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
        }
    }
}

#[test]
fn no_password_stands_where_the_list_of_processes_shows_it() {
    let compose = Compose::read(&passwords());
    for (name, service) in &compose.services {
        let checked = service.healthcheck.iter().flat_map(|check| &check.test);
        assert!(service.command.iter().chain(checked).all(|word| !word.contains("KeptAway")), "{name}");
    }
}

/// With one password for all of them, each service could enter the databases of the others.
#[test]
fn everybody_has_a_password_of_its_own_and_is_told_no_other() {
    let compose = Compose::read(&passwords());
    for (variable, password) in passwords() {
        let owner = match variable.split('_').next().unwrap() {
            "POSTGRES" => "postgres".to_owned(),
            name => format!("{}-service", name.to_lowercase()),
        };
        let told = compose
            .services
            .iter()
            .filter(|(_, service)| service.environment.values().any(|value| value.contains(&password)));
        assert_eq!(told.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [owner.as_str()], "{variable}");
        let roles = compose.configs["databases"].content.matches(&password).count();
        assert_eq!(roles, usize::from(owner != "postgres"), "{variable}");
    }
    let compose = defaults();
    let mut different =
        BTreeSet::from([compose.service("postgres").environment["POSTGRES_PASSWORD"].clone()]);
    for (_, service) in ours(&compose) {
        let url = service.environment.get("TENURE_DATABASE_URL");
        different.extend(url.map(|url| url.split([':', '@']).nth(2).unwrap().to_owned()));
    }
    assert_eq!(different.len(), 4, "{different:?}");
}

/// A password for each who has one, known again wherever it stands.
fn passwords() -> Variables {
    ["POSTGRES", "DIRECTORY", "IDENTITY", "SUBSCRIPTION"]
        .map(|name| (format!("{name}_PASSWORD"), format!("KeptAway{name}")))
        .into()
}

#[test]
fn ports_are_published_on_loopback_and_are_those_that_are_served() {
    let compose = defaults();
    for (name, service) in &compose.services {
        let listen =
            service.environment.get("TENURE_LISTEN").and_then(|listen| listen.strip_prefix("0.0.0.0:"));
        assert_eq!(listen.is_some(), !service.ports.is_empty(), "{name}");
        for port in &service.ports {
            let parts: Vec<_> = port.split(':').collect();
            assert_eq!(parts, ["127.0.0.1", listen.unwrap(), listen.unwrap()], "{name}");
            assert!(image::exposed().iter().any(|exposed| exposed == parts[2]), "{name}");
        }
    }
}

#[test]
fn addresses_lead_to_services_of_the_file() {
    let compose = defaults();
    let served = |host: &str| match host {
        "postgres" => "5432".to_owned(),
        "collector" => {
            let (_, port) = compose.configs["collector"].content.split_once("endpoint: 0.0.0.0:").unwrap();
            port[..4].to_owned()
        }
        name => compose.service(name).environment["TENURE_LISTEN"].rsplit(':').next().unwrap().to_owned(),
    };
    let mut followed = 0;
    for (name, service) in ours(&compose) {
        for (variable, url) in service.environment.iter().filter(|(_, value)| value.contains("://")) {
            let authority = url.split('/').nth(2).unwrap().rsplit('@').next().unwrap();
            let (host, port) = authority.split_once(':').unwrap();
            assert_eq!(served(host), port, "{name}: {variable}");
            let peer = variable.strip_prefix("TENURE_").unwrap().to_lowercase();
            if let "directory" | "identity" = peer.as_str() {
                assert_eq!(host, format!("{peer}-service"), "{name}");
            }
            followed += 1;
        }
    }
    assert_eq!(followed, 10, "a database and a collector each, and four peers");
}

#[test]
fn volumes_and_configs_are_there_and_used() {
    let compose = defaults();
    let mut volumes = BTreeSet::new();
    let mut configs = BTreeSet::new();
    for (name, service) in &compose.services {
        for volume in &service.volumes {
            let (volume, path) = mount(volume);
            volumes.insert(volume);
            let made = image::folders().iter().any(|folder| folder == path);
            assert!(made || !service.is_ours(), "{name} could not write to {path}: root would own it");
        }
        configs.extend(service.configs.iter().map(|config| config.source.as_str()));
        // Compose copies a config into the container.
        assert!(service.configs.is_empty() || !service.read_only, "{name} cannot be given its configs");
        for config in service.configs.iter().filter(|config| config.source == "collector") {
            assert_eq!(service.command, [format!("--config={}", config.target)]);
        }
    }
    assert!(volumes.into_iter().eq(compose.volumes.keys()), "{:?}", compose.volumes);
    assert!(compose.volumes.values().all(Option::is_none), "one that is elsewhere has an owner of its own");
    assert!(configs.into_iter().eq(compose.configs.keys()), "{:?}", compose.configs.keys());
    parse(&compose.configs["collector"].content);
}

#[test]
fn processes_of_ours_run_one_image_and_gain_no_rights() {
    let compose = defaults();
    for (name, service) in ours(&compose) {
        let build = service.build.as_ref().unwrap();
        assert_eq!((build.context.as_str(), build.dockerfile.as_str()), (".", image::DOCKERFILE));
        assert_eq!(service.image, "tenure:dev", "{name}");
        assert!(service.read_only, "{name}");
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        let keys = service.volumes.iter().find(|volume| volume.starts_with("keys:"));
        assert!(
            name == "keys" || keys.is_none_or(|mount| mount.ends_with(":ro")),
            "{name} could change keys"
        );
    }
    assert_eq!(compose.service("tenure").tmpfs, ["/tmp"], "SQLite wants a place for its temporary files");
}

/// A process that is asked to stop is given the time that it takes at most, and a question the time it waits.
#[test]
fn periods_are_as_long_as_what_they_wait_for() {
    let compose = defaults();
    for (name, service) in ours(&compose).filter(|(name, _)| *name != "keys") {
        let stop = seconds(service.stop_grace_period.as_deref().unwrap());
        assert!(stop > 25 + 2 + 1, "{name}");
        let check = service.healthcheck.as_ref().unwrap();
        assert!(seconds(&check.timeout) > 5, "{name}");
        let unwell = seconds(&check.start_period) + u64::from(check.retries) * seconds(&check.interval);
        assert!((30..=120).contains(&unwell), "{name}");
    }
}

fn seconds(text: &str) -> u64 {
    runtime::config::duration(text).unwrap().as_secs()
}
