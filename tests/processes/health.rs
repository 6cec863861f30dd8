//! `health` of each binary, as a supervisor asks it.

use access::Service;

use crate::process::{Process, Program};
use crate::split::Ground;

/// Asks with the very options that the process runs with.
fn health(process: &Process) -> (Option<i32>, String) {
    let output = process.where_it_was().args(["health"]).run();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

fn assert_one_line(told: &str) {
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// K34: readiness is a service's own storage, and none of these has its peers.
#[tokio::test]
async fn each_service_says_whether_it_serves_whoever_else_is_there() {
    for ground in [Ground::new().await, Ground::with_tls().await] {
        for service in Service::ALL {
            let process = ground.program(service).start();
            let (code, told) = health(&process);
            assert_eq!(code, Some(0), "{told}");
            assert_one_line(&told);
            let program = process.kill();
            let output = program.args(["health"]).run();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert_one_line(&told);
        }
    }
}

#[test]
fn the_composition_says_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let process = Program::new("tenure").args(["--data-dir", &data, "--listen", "127.0.0.1:0"]).start();
    let (code, told) = health(&process);
    assert_eq!(code, Some(0), "{told}");
    let program = process.kill();
    assert_eq!(program.args(["health"]).run().status.code(), Some(1));
}
