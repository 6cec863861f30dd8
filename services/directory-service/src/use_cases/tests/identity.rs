//! What identity is told of directories, and what becomes of it; nothing else of identity is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use api::identity::v1::directory_state_service_server::{DirectoryStateService, DirectoryStateServiceServer};
use api::identity::v1::{ApplyDirectoryStateRequest, ApplyDirectoryStateResponse, DirectoryState};
use kernel::DirectoryId;
use runtime::peer::Peer;
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What is wrong with identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It does not hear.
    Deaf,
    /// It hears, and its answer is lost.
    AnswerLost,
    /// Its answer is about another directory.
    OtherDirectory,
    /// Its answer is about what was before.
    Outdated,
    /// It answers when it is released.
    Held,
}

#[derive(Clone, Default)]
pub(super) struct Told {
    states: Arc<Mutex<HashMap<String, (DirectoryState, i64)>>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    calls: Arc<Mutex<usize>>,
    pub(super) reached: Arc<Notify>,
    pub(super) release: Arc<Notify>,
}

impl Told {
    pub(super) fn peer(&self) -> Peer {
        let (peer, slot) = Peer::later();
        slot.connect(Routes::new(DirectoryStateServiceServer::new(self.clone())).prepare());
        peer
    }

    /// As higher revisions have told it.
    pub(super) fn of(&self, directory: DirectoryId) -> Option<(DirectoryState, i64)> {
        self.states.lock().unwrap().get(&format!("directories/{directory}")).copied()
    }

    pub(super) fn has(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    pub(super) fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

#[tonic::async_trait]
impl DirectoryStateService for Told {
    async fn apply_directory_state(
        &self,
        request: Request<ApplyDirectoryStateRequest>,
    ) -> Result<Response<ApplyDirectoryStateResponse>, Status> {
        let message = request.into_inner();
        let trouble = *self.trouble.lock().unwrap();
        *self.calls.lock().unwrap() += 1;
        if trouble == Some(Trouble::Deaf) {
            return Err(Status::unavailable("scripted"));
        }
        if trouble == Some(Trouble::Held) {
            self.reached.notify_one();
            self.release.notified().await;
        }
        let noted = {
            let mut states = self.states.lock().unwrap();
            let noted = states.entry(message.directory.clone()).or_insert((message.state(), 0));
            if message.revision > noted.1 {
                *noted = (message.state(), message.revision);
            }
            *noted
        };
        let mut answer = ApplyDirectoryStateResponse {
            directory: message.directory,
            state: noted.0.into(),
            revision: noted.1,
        };
        match trouble {
            Some(Trouble::AnswerLost) => return Err(Status::unavailable("scripted")),
            Some(Trouble::OtherDirectory) => answer.directory.push('0'),
            Some(Trouble::Outdated) => answer.revision -= 1,
            Some(Trouble::Deaf | Trouble::Held) | None => {}
        }
        Ok(Response::new(answer))
    }
}
