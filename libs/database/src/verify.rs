//! Verifying a change log: every entry against its digest, every batch against its seal, each seal against the last, and
//! all of them against seals that were exported before.
//!
//! Says where the chain is broken; who broke it, it cannot know. Whoever can write the database can write a chain that is
//! whole: it shows only against seals that were kept elsewhere.

use std::fmt::{self, Write as _};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change_log::Entry;
use crate::connect::Db;
use crate::error::StoreError;
use crate::on;
use crate::sequencer::seal_of;
use crate::tx::Tx;

/// Seals that are read at once.
const SEALS_AT_ONCE: i64 = 500;

/// What a verification has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// All sealed entries are as they were written.
    Intact {
        /// How many entries are sealed.
        entries: i64,
        /// How many are committed and not sealed yet.
        unsealed: i64,
    },
    /// The log is not what was written.
    Broken {
        /// The position of the first entry that is not.
        position: i64,
        /// What is wrong there.
        wrong: Wrong,
    },
}

/// What is wrong with a change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The entry does not fit its digest: the one or the other was altered.
    EntryAltered,
    /// There is no such entry, and others follow, or were sealed with it.
    EntryMissing,
    /// Each entry of the batch that begins here fits its digest, and not all are those that were sealed.
    BatchAltered,
    /// The seal of the batch that begins here was altered.
    SealAltered,
    /// The seal of the batch that begins here is missing, and others follow.
    SealMissing,
    /// The chain ends before this entry, and went on once; or entries from here on have a position and no seal.
    ChainCut,
    /// The batch that begins here is not the one whose seal was exported.
    NotAsExported,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EntryAltered => "the entry was altered: it does not fit its digest",
            Self::EntryMissing => "the entry is missing",
            Self::BatchAltered => {
                "the batch of entries that begins here was altered: it does not fit its seal"
            }
            Self::SealAltered => "the seal of the batch that begins here was altered",
            Self::SealMissing => "the seal of the batch that begins here is missing",
            Self::ChainCut => "the chain was cut: what it should go on with here is not there",
            Self::NotAsExported => {
                "the chain was rewritten, or cut off: the batch that begins here is not the exported one"
            }
        })
    }
}

/// A seal as it is exported; the next one's depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedSeal {
    /// Counts seals from 1.
    pub number: i64,
    /// The position of the first entry under it.
    pub first_position: i64,
    /// The position of the last one.
    pub last_position: i64,
    /// Over the digests of its entries, in hexadecimal digits.
    pub root: String,
    /// Over the root and the seal before, in hexadecimal digits.
    pub seal: String,
}

#[derive(sqlx::FromRow)]
struct Seal {
    number: i64,
    first_position: i64,
    last_position: i64,
    root: Vec<u8>,
    chained: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Row {
    position: i64,
    directory: Uuid,
    transaction_id: Uuid,
    event_time: i64,
    actor: String,
    action: String,
    resource: String,
    kind: String,
    after: String,
    changed_fields: String,
    outcome: String,
    count: i64,
    request_id: Option<Uuid>,
    trace_id: Option<String>,
    digest: Vec<u8>,
}

/// How far the chain was followed.
#[derive(Default)]
struct End {
    seal: Vec<u8>,
    position: i64,
    number: i64,
}

/// Verifies a whole change log, in one snapshot.
pub async fn verify(db: &Db) -> Result<Verified, StoreError> {
    verify_against(&mut db.read().await?, &[]).await
}

/// As [`verify`], and that the chain begins with the seals that were exported from it before, in their order.
pub async fn verify_against(tx: &mut Tx, exported: &[ExportedSeal]) -> Result<Verified, StoreError> {
    let mut end = End::default();
    let mut expected = exported.iter();
    loop {
        let seals = seals(tx, end.number).await?;
        if seals.is_empty() {
            break;
        }
        for seal in seals {
            if let Some(broken) = first_broken(tx, &end, &seal).await? {
                return Ok(broken);
            }
            if expected.next().is_some_and(|exported| *exported != seal.exported()) {
                return Ok(broken(seal.first_position, Wrong::NotAsExported));
            }
            end = End { seal: seal.chained, position: seal.last_position, number: seal.number };
        }
    }
    end_of(tx, &end, expected.next().is_some()).await
}

/// All seals after this number, some at once: for an export.
pub async fn exported_seals(tx: &mut Tx, after: i64) -> Result<Vec<ExportedSeal>, StoreError> {
    Ok(seals(tx, after).await?.iter().map(Seal::exported).collect())
}

/// The context whose database it is, by the name of its own migration.
pub async fn context(tx: &mut Tx) -> Result<String, StoreError> {
    let select = "SELECT CAST(description AS TEXT) FROM _sqlx_migrations WHERE version >= 100 ORDER BY version LIMIT 1";
    Ok(on!(tx, |c| sqlx::query_scalar(select).fetch_one(c).await)?)
}

const fn broken(position: i64, wrong: Wrong) -> Verified {
    Verified::Broken { position, wrong }
}

/// What is wrong at the end of a chain whose links are whole: an end that was cut off breaks no link of the rest.
async fn end_of(tx: &mut Tx, end: &End, more_was_exported: bool) -> Result<Verified, StoreError> {
    let cut = broken(end.position + 1, Wrong::ChainCut);
    if !is_head(tx, end).await? {
        return Ok(cut);
    }
    if more_was_exported {
        return Ok(broken(end.position + 1, Wrong::NotAsExported));
    }
    let sealed =
        count(tx, "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE position IS NOT NULL").await?;
    if sealed != end.position {
        return Ok(cut);
    }
    let unsealed =
        count(tx, "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE position IS NULL").await?;
    Ok(Verified::Intact { entries: end.position, unsealed })
}

/// The first thing that is wrong with the batch that follows an end.
async fn first_broken(tx: &mut Tx, end: &End, seal: &Seal) -> Result<Option<Verified>, StoreError> {
    if seal.number != end.number + 1 {
        return Ok(Some(broken(end.position + 1, Wrong::SealMissing)));
    }
    let first = end.position + 1;
    let bounds_fit = seal.first_position == first && seal.last_position >= first;
    let recomputed = seal_of(&end.seal, seal.number, seal.first_position, seal.last_position, &seal.root);
    if !bounds_fit || recomputed.as_slice() != seal.chained {
        return Ok(Some(broken(first, Wrong::SealAltered)));
    }
    let mut root = digest::Context::new(&digest::SHA256);
    let mut expected = first;
    for row in batch(tx, seal.first_position, seal.last_position).await? {
        let Ok(row) = row else { return Ok(Some(broken(expected, Wrong::EntryAltered))) };
        if row.position != expected {
            return Ok(Some(broken(expected, Wrong::EntryMissing)));
        }
        if row.digest != row.recomputed() {
            return Ok(Some(broken(expected, Wrong::EntryAltered)));
        }
        root.update(&row.position.to_be_bytes());
        root.update(&row.digest);
        expected += 1;
    }
    if expected != seal.last_position + 1 {
        return Ok(Some(broken(expected, Wrong::EntryMissing)));
    }
    let fits = root.finish().as_ref() == seal.root;
    Ok((!fits).then_some(broken(first, Wrong::BatchAltered)))
}

async fn seals(tx: &mut Tx, after: i64) -> Result<Vec<Seal>, StoreError> {
    let select = "SELECT number, first_position, last_position, root, seal AS chained FROM change_seals
        WHERE number > $1 ORDER BY number LIMIT $2";
    Ok(on!(tx, |c| sqlx::query_as(select).bind(after).bind(SEALS_AT_ONCE).fetch_all(c).await)?)
}

/// A value that is not even of its column's form: what was written is.
struct Unreadable;

/// The entries from one position to another, each by itself where one of them cannot be read.
async fn batch(tx: &mut Tx, first: i64, last: i64) -> Result<Vec<Result<Row, Unreadable>>, StoreError> {
    match rows(tx, first, last).await {
        Ok(rows) => return Ok(rows.into_iter().map(Ok).collect()),
        Err(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let mut read = Vec::new();
    for position in first..=last {
        match rows(tx, position, position).await {
            Ok(rows) => read.extend(rows.into_iter().map(Ok)),
            Err(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => read.push(Err(Unreadable)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(read)
}

async fn rows(tx: &mut Tx, first: i64, last: i64) -> Result<Vec<Row>, sqlx::Error> {
    let select =
        "SELECT position, directory, transaction_id, event_time, actor, action, resource, kind, after,
            changed_fields, outcome, count, request_id, trace_id, digest
        FROM change_log WHERE position BETWEEN $1 AND $2 ORDER BY position";
    on!(tx, |c| sqlx::query_as(select).bind(first).bind(last).fetch_all(c).await)
}

/// Whether the chain ends where the sequencer left it.
async fn is_head(tx: &mut Tx, end: &End) -> Result<bool, StoreError> {
    let select = "SELECT last_position, last_seal_number, last_seal FROM change_log_head WHERE id = 1";
    let head: (i64, i64, Vec<u8>) = on!(tx, |c| sqlx::query_as(select).fetch_one(c).await)?;
    Ok(head == (end.position, end.number, end.seal.clone()))
}

async fn count(tx: &mut Tx, select: &'static str) -> Result<i64, StoreError> {
    Ok(on!(tx, |c| sqlx::query_scalar(select).fetch_one(c).await)?)
}

impl Seal {
    fn exported(&self) -> ExportedSeal {
        ExportedSeal {
            number: self.number,
            first_position: self.first_position,
            last_position: self.last_position,
            root: hexadecimal(&self.root),
            seal: hexadecimal(&self.chained),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Row {
    fn recomputed(&self) -> [u8; 32] {
        Entry {
            directory: self.directory,
            transaction_id: self.transaction_id,
            event_time: self.event_time,
            actor: self.actor.clone(),
            action: self.action.clone(),
            resource: self.resource.clone(),
            kind: self.kind.clone(),
            after: self.after.clone(),
            changed_fields: self.changed_fields.clone(),
            outcome: self.outcome.clone(),
            count: self.count,
            request_id: self.request_id,
            trace_id: self.trace_id.clone(),
        }
        .digest()
    }
}
