//! P-10, K49: whatever is done to a sealed log shows, where it was done, and a chain that is whole and another shows
//! against seals that were kept.

use database::verify::{ExportedSeal, Verified, Wrong, context, exported_seals, verify, verify_against};
use database::{DatabaseUrl, Db, on, sequencer, snapshot};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use test_support::clock::START;
use test_support::database::{Engine, TestDatabase, engine};

use crate::change_log::change;
use crate::{call, execute, store};

/// Six entries under three seals.
async fn sealed(first: u32) -> TestDatabase {
    let store = store().await;
    go_on(&store.db, first, 3).await;
    store
}

/// As many seals more, over two entries each.
async fn go_on(db: &Db, first: u32, seals: u32) {
    for number in first..first + seals {
        change(db, &call(number, 1), 2).await;
        while sequencer::run_once(db, START).await.unwrap() {}
    }
}

async fn export(db: &Db) -> Vec<ExportedSeal> {
    exported_seals(&mut db.read().await.unwrap(), 0).await.unwrap()
}

async fn against(db: &Db, exported: &[ExportedSeal]) -> Verified {
    verify_against(&mut db.read().await.unwrap(), exported).await.unwrap()
}

const fn broken(position: i64, wrong: Wrong) -> Verified {
    Verified::Broken { position, wrong }
}

#[tokio::test]
async fn what_was_done_to_a_log_is_told_with_its_place() {
    use Wrong::{ChainCut, EntryAltered, EntryMissing, SealAltered, SealMissing};
    for (statements, expected) in [
        (&["UPDATE change_log SET actor = 'somebody else' WHERE position = 3"][..], broken(3, EntryAltered)),
        (&["UPDATE change_log SET after = '{}' WHERE position = 6"], broken(6, EntryAltered)),
        (
            &["UPDATE change_log SET digest = root FROM change_seals WHERE position = 1"],
            broken(1, EntryAltered),
        ),
        (&["DELETE FROM change_log WHERE position = 4"], broken(4, EntryMissing)),
        (&["UPDATE change_log SET position = NULL WHERE position = 5"], broken(5, EntryMissing)),
        (&["UPDATE change_seals SET root = seal WHERE number = 2"], broken(3, SealAltered)),
        (&["UPDATE change_seals SET seal = root WHERE number = 3"], broken(5, SealAltered)),
        (&["UPDATE change_seals SET last_position = 5 WHERE number = 2"], broken(3, SealAltered)),
        (
            &["DELETE FROM change_log WHERE position IN (3, 4)", "DELETE FROM change_seals WHERE number = 2"],
            broken(3, SealMissing),
        ),
        (
            &["DELETE FROM change_log WHERE position >= 5", "DELETE FROM change_seals WHERE number = 3"],
            broken(5, ChainCut),
        ),
        (&["UPDATE change_log_head SET last_seal_number = 2, last_position = 4"], broken(7, ChainCut)),
    ] {
        let store = sealed(0).await;
        for statement in statements {
            execute(&store.db, statement).await;
        }
        assert_eq!(verify(&store.db).await.unwrap(), expected, "{statements:?}");
    }
}

/// An entry of one batch put in place of another, its digest with it: each fits itself, and the batch fits no seal.
#[tokio::test]
async fn entries_that_changed_places_show() {
    let store = sealed(0).await;
    for statement in [
        "UPDATE change_log SET position = 100 WHERE position = 3",
        "UPDATE change_log SET position = 3 WHERE position = 4",
        "UPDATE change_log SET position = 4 WHERE position = 100",
    ] {
        execute(&store.db, statement).await;
    }
    assert_eq!(verify(&store.db).await.unwrap(), broken(3, Wrong::BatchAltered));
}

/// A value that is no longer even a text is named, as any other that was altered.
#[tokio::test]
async fn what_cannot_be_read_is_named() {
    if engine() == Engine::Postgres {
        // PostgreSQL itself refuses such a text.
        return;
    }
    let store = sealed(0).await;
    execute(&store.db, "UPDATE change_log SET actor = CAST(x'ff41' AS TEXT) WHERE position = 4").await;
    assert_eq!(verify(&store.db).await.unwrap(), broken(4, Wrong::EntryAltered));
}

#[tokio::test]
async fn a_chain_that_went_on_begins_with_what_was_exported() {
    let store = sealed(0).await;
    let exported = export(&store.db).await;
    assert_eq!(exported.iter().map(|seal| seal.last_position).collect::<Vec<_>>(), [2, 4, 6]);
    go_on(&store.db, 3, 2).await;
    assert_eq!(against(&store.db, &exported).await, Verified::Intact { entries: 10, unsealed: 0 });
}

#[tokio::test]
async fn a_chain_that_was_rewritten_or_cut_off_whole_shows_against_an_export() {
    let exported = export(&sealed(0).await.db).await;
    let rewritten = sealed(50).await;
    assert_eq!(verify(&rewritten.db).await.unwrap(), Verified::Intact { entries: 6, unsealed: 0 });
    assert_eq!(against(&rewritten.db, &exported).await, broken(1, Wrong::NotAsExported));
    // From the third seal on.
    let other_end = store().await;
    go_on(&other_end.db, 0, 2).await;
    go_on(&other_end.db, 70, 1).await;
    assert_eq!(against(&other_end.db, &exported).await, broken(5, Wrong::NotAsExported));
    let shorter = store().await;
    go_on(&shorter.db, 0, 2).await;
    assert_eq!(verify(&shorter.db).await.unwrap(), Verified::Intact { entries: 4, unsealed: 0 });
    assert_eq!(against(&shorter.db, &exported).await, broken(5, Wrong::NotAsExported));
}

/// Read beside whoever writes, and without writing: entries that are not sealed yet are counted.
#[tokio::test]
async fn a_log_is_verified_while_it_is_written() {
    let store = sealed(0).await;
    change(&store.db, &call(9, 1), 1).await;
    let mut tx = snapshot(&store.settings.url).await.unwrap();
    let seen = Verified::Intact { entries: 6, unsealed: 1 };
    assert_eq!(verify_against(&mut tx, &[]).await.unwrap(), seen);
    go_on(&store.db, 10, 1).await;
    assert_eq!(verify_against(&mut tx, &[]).await.unwrap(), seen, "one snapshot");
    let write = "UPDATE change_log SET actor = 'somebody'";
    assert!(on!(&mut tx, |c| sqlx::query(write).execute(c).await.map(|_| ())).is_err());
    // The foundation alone is no context's.
    assert!(context(&mut snapshot(&store.settings.url).await.unwrap()).await.is_err());
}

/// A copy without a write-ahead log, in a folder where nothing can be made.
#[tokio::test]
async fn a_copy_is_verified_without_a_trace() {
    if engine() == Engine::Postgres {
        return;
    }
    let store = sealed(0).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let into = AssertSqlSafe(format!("VACUUM INTO '{}'", copy.display()));
    let url = format!("sqlite:{}", copy.display()).parse().unwrap();
    let mut connection = connect(&store).await;
    sqlx::query(into).execute(&mut connection).await.unwrap();
    let mut tx = snapshot(&url).await.unwrap();
    assert_eq!(verify_against(&mut tx, &[]).await.unwrap(), Verified::Intact { entries: 6, unsealed: 0 });
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "nothing was made beside it");
}

async fn connect(store: &TestDatabase) -> SqliteConnection {
    let DatabaseUrl::Sqlite(path) = &store.settings.url else { panic!("the engine is SQLite") };
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}
