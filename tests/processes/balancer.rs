//! What stands in front of the replicas of a service: one address, behind which each connection goes to a replica that
//! listens. It knows nothing of HTTP, and moves no connection.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::process::Port;

/// Balances until it is dropped.
pub(crate) struct Balancer(#[expect(dead_code, reason = "its end is the end of its tasks")] JoinSet<()>);

impl Balancer {
    pub(crate) async fn start(port: &Port, replicas: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind(port.address).await.expect("the port is held for this");
        let mut tasks = JoinSet::new();
        tasks.spawn(balance(listener, replicas));
        Self(tasks)
    }
}

async fn balance(listener: TcpListener, mut replicas: Vec<SocketAddr>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        replicas.rotate_left(1);
        connections.spawn(connect(client, replicas.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// To the first replica that listens; where none does, the connection is closed.
async fn connect(mut client: TcpStream, replicas: Vec<SocketAddr>) {
    for replica in replicas {
        if let Ok(mut server) = TcpStream::connect(replica).await {
            // A replica that was killed resets its connections, and so does this.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
