-- What every context needs beside its own tables: answered requests, the change log, refusals, holds.

CREATE TABLE idempotency_records (
    directory BLOB NOT NULL,
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    answer TEXT NOT NULL,
    expire_time INTEGER NOT NULL,
    PRIMARY KEY (directory, caller, method, request_id)
) STRICT;
CREATE INDEX idempotency_records_by_expire_time ON idempotency_records (expire_time);

CREATE TABLE change_log (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    directory BLOB NOT NULL,
    transaction_id BLOB NOT NULL,
    event_time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    kind TEXT NOT NULL,
    after TEXT NOT NULL,
    changed_fields TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    request_id BLOB,
    trace_id TEXT,
    digest BLOB NOT NULL,
    position INTEGER
) STRICT;
CREATE UNIQUE INDEX change_log_by_position ON change_log (position);
CREATE INDEX change_log_unpositioned ON change_log (entry) WHERE position IS NULL;
CREATE INDEX change_log_by_transaction ON change_log (transaction_id);
CREATE INDEX change_log_by_directory ON change_log (directory, position);

CREATE TABLE change_log_head (
    id INTEGER PRIMARY KEY,
    last_position INTEGER NOT NULL,
    last_seal_number INTEGER NOT NULL,
    last_seal BLOB NOT NULL
) STRICT;
INSERT INTO change_log_head (id, last_position, last_seal_number, last_seal) VALUES (1, 0, 0, x'');

CREATE TABLE change_seals (
    number INTEGER PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    root BLOB NOT NULL,
    seal BLOB NOT NULL,
    seal_time INTEGER NOT NULL
) STRICT;

CREATE TABLE refusals (
    directory BLOB NOT NULL,
    minute INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    trace_id TEXT,
    PRIMARY KEY (directory, minute, actor, action, target, code, reason)
) STRICT;
CREATE INDEX refusals_by_minute ON refusals (minute);

CREATE TABLE holds (
    directory BLOB NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    -- Null while it is being taken.
    lien BLOB,
    revision INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    hold_time INTEGER NOT NULL,
    PRIMARY KEY (directory, reason)
) STRICT;
-- For rounds over what is being taken, what is held, and what is being let go.
CREATE INDEX holds_by_state ON holds (state, hold_time, directory, reason);
