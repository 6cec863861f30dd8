//! A replica dies behind the address of a peer, and another one answers there.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;

/// What stands at the peer's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A replica.
    Replica(SocketAddr),
    /// Nothing: connections are closed.
    Nothing,
}

/// An address whose connections lead to what stands behind it at the time, and end when that changes: by being closed,
/// or by never moving again.
struct Door {
    uri: Uri,
    behind: watch::Sender<Behind>,
}

impl Door {
    async fn open(tasks: &Tasks, first: &Running, is_closed_after: bool) -> Self {
        let (behind, seen) = watch::channel(Behind::Replica(first.address));
        let uri = listening(tasks, move |stream| pass(stream, seen.clone(), is_closed_after)).await;
        Self { uri, behind }
    }

    fn leads_to(&self, behind: Behind) {
        self.behind.send_replace(behind);
    }
}

async fn pass(mut client: TcpStream, mut behind: watch::Receiver<Behind>, is_closed_after: bool) {
    let Behind::Replica(replica) = *behind.borrow_and_update() else { return };
    let mut server = TcpStream::connect(replica).await.unwrap();
    tokio::select! {
        _ended = copy_bidirectional(&mut client, &mut server) => {}
        _changed = behind.changed() => {
            if !is_closed_after {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[tokio::test]
async fn a_peer_that_died_is_missed_at_once_and_found_again_at_the_next_call() {
    let (keys, tasks) = (Keys::new(), Tasks::new());
    let (first, second) = (named("first", &keys).await, named("second", &keys).await);
    let door = Door::open(&tasks, &first, true).await;
    let peer = as_identity(Peer::remote(door.uri.clone()), &keys);
    assert_eq!(ask(&peer).await.unwrap(), "first");
    door.leads_to(Behind::Nothing);
    let began = Instant::now();
    for _ in 0..3 {
        ask(&peer).await.unwrap_err();
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    door.leads_to(Behind::Replica(second.address));
    assert_eq!(ask(&peer).await.unwrap(), "second");
}

#[tokio::test]
async fn a_peer_that_fell_silent_is_given_up_and_found_again() {
    let (keys, tasks) = (Keys::new(), Tasks::new());
    let (first, second) = (named("first", &keys).await, named("second", &keys).await);
    let door = Door::open(&tasks, &first, false).await;
    let keepalive = Keepalive { every: Duration::from_millis(200), patience: Duration::from_millis(200) };
    let peer =
        as_identity(Peer::kept_alive(tonic::transport::Endpoint::from(door.uri.clone()), keepalive), &keys);
    assert_eq!(ask(&peer).await.unwrap(), "first");
    door.leads_to(Behind::Replica(second.address));
    let began = Instant::now();
    let mut found = ask(&peer).await;
    while found.is_err() && began.elapsed() < Duration::from_secs(4) {
        found = ask(&peer).await;
    }
    // Less than one call may take: it was the connection that was given up, and not the call.
    assert_eq!(found.as_deref(), Ok("second"), "after {:?}", began.elapsed());
}

async fn named(name: &'static str, keys: &Keys) -> Running {
    Running::directory(Scripted::new(move |_| async move { Ok(name.to_owned()) }), keys).await
}
