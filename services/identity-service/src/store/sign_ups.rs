//! The saga of each sign-up: rows of `sign_ups`. No password stands in them.

use database::{Db, StoreError, Sweep, Tx, defer, on};
use kernel::{DirectoryId, Timestamp};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::sign_up::{AgreementType, NewDirectory, SignUp, SignUpState, SignedUp};

const COLUMNS: &str = "id, request_id, body_mac, state, attempt, organization_display_name, domain_label,
    region_code, agreement_type, directory, answer, update_time";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    request_id: Uuid,
    body_mac: Vec<u8>,
    state: String,
    attempt: i64,
    organization_display_name: String,
    domain_label: String,
    region_code: String,
    agreement_type: String,
    directory: Option<Uuid>,
    answer: String,
    update_time: i64,
}

impl TryFrom<Row> for SignUp {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt;
        let answer: Option<SignedUp> = match row.answer.as_str() {
            "" => None,
            text => Some(serde_json::from_str(text).map_err(|_| corrupt("answer of a sign-up"))?),
        };
        Ok(Self {
            id: row.id,
            request_id: row.request_id,
            body_mac: row.body_mac,
            state: SignUpState::stored(&row.state).ok_or(corrupt("state of a sign-up"))?,
            attempt: row.attempt,
            new_directory: NewDirectory {
                display_name: row.organization_display_name,
                label: row.domain_label,
                region_code: row.region_code,
                agreement_type: AgreementType::stored(&row.agreement_type)
                    .ok_or(corrupt("agreement type"))?,
            },
            directory: row.directory.map(DirectoryId::from_uuid),
            answer,
            update_time: Timestamp::from_micros(row.update_time),
        })
    }
}

/// The saga of a request id; its row is locked until the transaction ends.
pub(crate) async fn lock(
    tx: &mut Tx,
    request_id: Uuid,
    now: Timestamp,
) -> Result<Option<SignUp>, StoreError> {
    // A saga that somebody works on is not one that a worker gives up.
    let update = format!("UPDATE sign_ups SET update_time = $2 WHERE request_id = $1 RETURNING {COLUMNS}");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(update.as_str()))
        .bind(request_id)
        .bind(now.micros())
        .fetch_optional(c)
        .await)?;
    row.map(SignUp::try_from).transpose()
}

/// The saga of a request id, as it stands.
pub(crate) async fn find(tx: &mut Tx, request_id: Uuid) -> Result<Option<SignUp>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM sign_ups WHERE request_id = $1");
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str())).bind(request_id).fetch_optional(c).await)?;
    row.map(SignUp::try_from).transpose()
}

/// Begins a saga; says whether there was none.
pub(crate) async fn insert(tx: &mut Tx, sign_up: &SignUp) -> Result<bool, StoreError> {
    let insert = "INSERT INTO sign_ups (id, request_id, body_mac, state, attempt, organization_display_name,
            domain_label, region_code, agreement_type, directory, answer, create_time, update_time)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, '', $10, $10) ON CONFLICT (request_id) DO NOTHING";
    let new = &sign_up.new_directory;
    let inserted = on!(tx, |c| sqlx::query(insert)
        .bind(sign_up.id)
        .bind(sign_up.request_id)
        .bind(&sign_up.body_mac)
        .bind(sign_up.state.as_str())
        .bind(sign_up.attempt)
        .bind(&new.display_name)
        .bind(&new.label)
        .bind(&new.region_code)
        .bind(new.agreement_type.as_str())
        .bind(sign_up.update_time.micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(inserted == 1)
}

/// Moves a saga from one state of one attempt to another; says whether it was there, which decides all races. Of an
/// attempt that is refused nobody has asked yet whether it made a directory all the same.
pub(crate) async fn advance(
    tx: &mut Tx,
    sign_up: &SignUp,
    to: SignUpState,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let update = "UPDATE sign_ups SET state = $4, update_time = $5,
            directory = CASE WHEN $4 = 'REFUSED' THEN NULL ELSE directory END
        WHERE id = $1 AND attempt = $2 AND state = $3";
    let advanced = on!(tx, |c| sqlx::query(update)
        .bind(sign_up.id)
        .bind(sign_up.attempt)
        .bind(sign_up.state.as_str())
        .bind(to.as_str())
        .bind(now.micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(advanced == 1)
}

/// Begins the next attempt of a saga that was refused; the row is locked.
pub(crate) async fn begin_again(tx: &mut Tx, sign_up: &SignUp) -> Result<(), StoreError> {
    let update = "UPDATE sign_ups SET state = $2, attempt = $3, directory = NULL WHERE id = $1";
    defer!(tx, update, sign_up.id, SignUpState::Started.as_str(), sign_up.attempt)?;
    Ok(())
}

/// Notes the directory that was made, so that it can be given up later: at once where the attempt was given up meanwhile.
/// Says whether the saga is still at this attempt, and may have a directory: one that was refused stays so (K7).
pub(crate) async fn note_directory(
    tx: &mut Tx,
    sign_up: &SignUp,
    directory: DirectoryId,
) -> Result<bool, StoreError> {
    let update = "UPDATE sign_ups SET directory = $3,
            state = CASE WHEN state = 'ABANDONED' THEN 'ABANDONING' ELSE state END
        WHERE id = $1 AND attempt = $2 AND state <> 'REFUSED'";
    let noted = on!(tx, |c| sqlx::query(update)
        .bind(sign_up.id)
        .bind(sign_up.attempt)
        .bind(directory.uuid())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(noted == 1)
}

/// Notes that the directory which a refused attempt may have made is given up, so that nobody asks for it again.
pub(crate) async fn note_given_up(
    tx: &mut Tx,
    sign_up: &SignUp,
    directory: DirectoryId,
) -> Result<(), StoreError> {
    let update = "UPDATE sign_ups SET directory = $3 WHERE id = $1 AND attempt = $2 AND state = 'REFUSED'";
    defer!(tx, update, sign_up.id, sign_up.attempt, directory.uuid())?;
    Ok(())
}

/// Records the answer.
pub(crate) async fn record_answer(tx: &mut Tx, id: Uuid, answer: &SignedUp) -> Result<(), StoreError> {
    let text = serde_json::to_string(answer).map_err(|_| StoreError::Corrupt("answer of a sign-up"))?;
    let update = "UPDATE sign_ups SET directory = $2, answer = $3 WHERE id = $1";
    defer!(tx, update, id, answer.directory.uuid(), &text)?;
    Ok(())
}

/// The oldest saga that nobody has worked on since, and that has not ended, or was refused and may have made a directory.
pub(crate) async fn oldest_unfinished(
    tx: &mut Tx,
    untouched_since: Timestamp,
) -> Result<Option<SignUp>, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM sign_ups
            WHERE (state IN ('STARTED', 'CREATED', 'ABANDONING') OR state = 'REFUSED' AND directory IS NULL)
                AND update_time <= $1
            ORDER BY update_time LIMIT 1"
    );
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str()))
        .bind(untouched_since.micros())
        .fetch_optional(c)
        .await)?;
    row.map(SignUp::try_from).transpose()
}

/// Puts a saga behind the others, so that one that cannot be finished now does not keep the rest waiting.
pub(crate) async fn postpone(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE sign_ups SET update_time = $2 WHERE id = $1";
    defer!(tx, update, id, now.micros())?;
    Ok(())
}

/// Removes sagas that ended before; gives how many.
pub(crate) async fn sweep(db: &Db, ended_before: Timestamp) -> Result<u64, StoreError> {
    let over = "state IN ('DONE', 'REFUSED', 'ABANDONED') AND update_time < $1";
    Sweep { table: "sign_ups", key: "id", over }.run(db, ended_before).await
}
