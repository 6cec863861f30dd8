//! P-11, K33, attack 28: time tells nothing either. Samples are interleaved, and medians compared.

use std::time::{Duration, Instant};

use api::directory::v1::GetDirectoryRequest;
use api::subscription::v1::GetSubscriptionRequest;

use crate::world::{E3, PASSWORD, World};

const ABSENT: &str = "00000000-0000-4000-8000-000000000001";
/// A difference that is there stays; one that the machine's other work made does not come three times.
const ROUNDS: usize = 3;

/// The difference of the medians of two calls, as a share of the larger, in the quietest of a few rounds.
async fn difference(samples: usize, one: impl AsyncFn(), other: impl AsyncFn()) -> f64 {
    let mut quietest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (mut ones, mut others) = (Vec::new(), Vec::new());
        for sample in 0..samples {
            // In turn first and second, so that whatever the first leaves warm serves both.
            if sample % 2 == 0 {
                ones.push(timed(&one).await);
                others.push(timed(&other).await);
            } else {
                others.push(timed(&other).await);
                ones.push(timed(&one).await);
            }
        }
        let (one, other) = (median(ones), median(others));
        quietest = quietest.min(one.abs_diff(other).as_secs_f64() / one.max(other).as_secs_f64());
        if quietest < 0.05 {
            break;
        }
    }
    quietest
}

async fn timed(call: &impl AsyncFn()) -> Duration {
    let start = Instant::now();
    call().await;
    start.elapsed()
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

#[tokio::test]
async fn a_foreign_subscription_takes_as_long_as_an_absent_one() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    let foreign = world.attach_trial(&ada, E3).await.unwrap().name;
    let get = async |name: &str| {
        let request = GetSubscriptionRequest { name: name.to_owned() };
        world.subscriptions().get_subscription(eve.says(request)).await.unwrap_err();
    };
    let absent = format!("subscriptions/{ABSENT}");
    let difference = difference(2_000, async || get(&foreign).await, async || get(&absent).await).await;
    assert!(difference < 0.05, "the medians differ by {difference:.3}");
}

#[tokio::test]
async fn a_foreign_directory_takes_as_long_as_an_absent_one() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    let get = async |name: &str| {
        let request = GetDirectoryRequest { name: name.to_owned() };
        world.directories().get_directory(eve.says(request)).await.unwrap_err();
    };
    let absent = format!("directories/{ABSENT}");
    let difference = difference(2_000, async || get(&ada.directory).await, async || get(&absent).await).await;
    assert!(difference < 0.05, "the medians differ by {difference:.3}");
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let sign_in = async |name: &str| {
        world.try_sign_in(name, &PASSWORD.to_lowercase()).await.unwrap_err();
    };
    let unknown = "nobody@contoso.tenure.internal";
    let known = ada.user_principal_name.clone();
    let difference = difference(30, async || sign_in(&known).await, async || sign_in(unknown).await).await;
    assert!(difference < 0.05, "the medians differ by {difference:.3}");
}
