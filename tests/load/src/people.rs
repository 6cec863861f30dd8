//! Who is in the data: directories that are signed up once, and the people in them who call.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{CreateUserRequest, SignInRequest, SignInResponse, SignUpRequest, User};
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use kernel::Ids;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::Failed;
use crate::subject::{Subject, connect};
use crate::work::{attach_request, offers};

pub(crate) const PASSWORD: &str = "Correct-Horse-9";
/// In how many of the directories somebody calls; the others are only there.
const CALLERS: usize = 512;
/// Calls of a preparation in flight.
const AT_ONCE: usize = 32;
const FILE: &str = "people.json";

/// An administrator, and somebody without a role in the same directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    /// `directories/{uuid}`.
    pub(crate) directory: String,
    /// `directories/{uuid}/users/{uuid}`.
    pub(crate) user: String,
    pub(crate) user_principal_name: String,
    /// The one without a role.
    pub(crate) other: String,
}

/// Somebody who has signed in.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) person: Person,
    pub(crate) authorization: MetadataValue<Ascii>,
}

impl Caller {
    pub(crate) fn says<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

/// Signs up this many directories in an empty Tenure; in some of them somebody is added and something is attached.
pub(crate) async fn sign_up(subject: &Subject, directories: usize, ids: &Ids) -> Result<Vec<Person>, Failed> {
    let identity = connect(&subject.identity, 2).await?;
    let stride = directories.div_ceil(CALLERS);
    let (channels, ids_of_all) = (identity.clone(), ids.clone());
    let people = side_by_side((0..directories).collect(), move |number| {
        let (channel, ids) = (channels[number % channels.len()].clone(), ids_of_all.clone());
        async move { sign_up_one(channel, number, &ids).await }
    })
    .await?;
    let callers: Vec<Person> = people.into_iter().step_by(stride).collect();
    let callers = sign_in(subject, callers).await?;
    let offer = offers(subject, &callers[0]).await?.swap_remove(0);
    let subscription = connect(&subject.subscription, 2).await?;
    let ids = ids.clone();
    side_by_side(callers, move |caller| {
        let identity = identity[0].clone();
        let (subscription, offer, ids) = (subscription[0].clone(), offer.clone(), ids.clone());
        async move { prepare(caller, identity, subscription, &offer, &ids).await }
    })
    .await
}

async fn sign_up_one(channel: Channel, number: usize, ids: &Ids) -> Result<Person, Failed> {
    let message = SignUpRequest {
        organization_display_name: format!("Organisation {number}"),
        domain_label: format!("load-{number}"),
        admin_user: Some(User {
            user_principal_name: "ada".to_owned(),
            display_name: "Ada Lindqvist".to_owned(),
            ..User::default()
        }),
        password: PASSWORD.to_owned(),
        request_id: ids.random().to_string(),
        ..SignUpRequest::default()
    };
    let answer = SignUpServiceClient::new(channel).sign_up(message).await?.into_inner();
    let (directory, user) = answer.directory.zip(answer.user).ok_or("a sign-up answers both")?;
    Ok(Person {
        directory: directory.name,
        user: user.name,
        user_principal_name: user.user_principal_name,
        other: String::new(),
    })
}

/// Adds the other person, and attaches the first product, with which the directory's hold is taken.
async fn prepare(
    caller: Caller,
    identity: Channel,
    subscription: Channel,
    offer: &str,
    ids: &Ids,
) -> Result<Person, Failed> {
    let message = create_user_request(&caller.person, "cy", ids);
    let answer = UserServiceClient::new(identity).create_user(caller.says(message)).await?.into_inner();
    let message = attach_request(&caller.person, offer, ids);
    let mut subscriptions = SubscriptionServiceClient::new(subscription);
    subscriptions.attach_office365_subscription(caller.says(message)).await?;
    Ok(Person { other: answer.user.ok_or("a user is answered")?.name, ..caller.person })
}

/// A new member of a person's directory, without a password.
pub(crate) fn create_user_request(person: &Person, local: &str, ids: &Ids) -> CreateUserRequest {
    let domain = person.user_principal_name.split_once('@').map_or("", |(_, domain)| domain);
    CreateUserRequest {
        parent: person.directory.clone(),
        user: Some(User {
            user_principal_name: format!("{local}@{domain}"),
            display_name: "Cy Arden".to_owned(),
            ..User::default()
        }),
        request_id: ids.random().to_string(),
        validate_only: false,
    }
}

/// Signs people in; their tokens are good for ten minutes.
pub(crate) async fn sign_in(subject: &Subject, people: Vec<Person>) -> Result<Vec<Caller>, Failed> {
    let channel = connect(&subject.identity, 1).await?.swap_remove(0);
    side_by_side(people, move |person| {
        let channel = channel.clone();
        async move {
            let answer = sign_in_once(channel, &person.user_principal_name).await?;
            let authorization = format!("Bearer {}", answer.access_token).parse()?;
            Ok(Caller { person, authorization })
        }
    })
    .await
}

/// Opens a session.
pub(crate) async fn sign_in_once(channel: Channel, name: &str) -> Result<SignInResponse, Failed> {
    let message = SignInRequest {
        user_principal_name: name.to_owned(),
        password: PASSWORD.to_owned(),
        client_description: "a load".to_owned(),
    };
    Ok(SessionServiceClient::new(channel).sign_in(message).await?.into_inner())
}

/// Remembers beside the data who is in it.
pub(crate) fn write(folder: &Path, people: &[Person]) -> Result<(), Failed> {
    Ok(fs::write(folder.join(FILE), serde_json::to_vec(people)?)?)
}

/// Whether it was remembered.
pub(crate) fn is_written(folder: &Path) -> bool {
    folder.join(FILE).exists()
}

/// Who is in the data of a folder.
pub(crate) fn read(folder: &Path) -> Result<Vec<Person>, Failed> {
    Ok(serde_json::from_slice(&fs::read(folder.join(FILE))?)?)
}

/// Does the same for each, some at once; gives what came of it in the order of the questions.
async fn side_by_side<I, T, F>(all: Vec<I>, one: impl Fn(I) -> F) -> Result<Vec<T>, Failed>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failed>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (number, item) in all.into_iter().enumerate() {
        let place = Arc::clone(&places).acquire_owned().await?;
        let doing = one(item);
        tasks.spawn(async move {
            let done = doing.await;
            drop(place);
            done.map(|done| (number, done))
        });
    }
    let mut done = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        done.push(ended??);
    }
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, done)| done).collect())
}
