//! Sixty-four want one user principal name, or exchange one refresh token.

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_creations_gets_the_name() {
    World::new().await.place().one_of_many_creations_gets_the_name("contoso").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_token_has_one_successor_however_many_exchange_it() {
    World::new().await.place().one_refresh_token_has_one_successor("contoso").await;
}
