//! Sixty-four organisations want one label at once: the database decides, and one gets it.

use crate::races::check_then_insert;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_sign_ups_gets_the_label() {
    World::new().await.place().one_of_many_sign_ups_gets_the_label("contoso").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_sign_ups_with_one_request_id_are_one() {
    World::new().await.place().many_sign_ups_with_one_request_id_are_one("contoso").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_first_and_taking_then_gives_one_label_to_many() {
    let world = World::new().await;
    let takers = check_then_insert(&world.databases.directory, "naive_labels").await;
    assert!(takers > 1, "the naive way was expected to give the label to several, not to {takers}");
}
