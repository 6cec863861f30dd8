-- What every context needs beside its own tables: answered requests, the change log, refusals, holds.

CREATE TABLE idempotency_records (
    directory UUID NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    request_id UUID NOT NULL,
    fingerprint BYTEA NOT NULL,
    answer TEXT COLLATE "C" NOT NULL,
    expire_time BIGINT NOT NULL,
    PRIMARY KEY (directory, caller, method, request_id)
);
CREATE INDEX idempotency_records_by_expire_time ON idempotency_records (expire_time);

CREATE TABLE change_log (
    entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    directory UUID NOT NULL,
    transaction_id UUID NOT NULL,
    event_time BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    after TEXT COLLATE "C" NOT NULL,
    changed_fields TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    request_id UUID,
    trace_id TEXT COLLATE "C",
    digest BYTEA NOT NULL,
    position BIGINT
);
CREATE UNIQUE INDEX change_log_by_position ON change_log (position);
CREATE INDEX change_log_unpositioned ON change_log (entry) WHERE position IS NULL;
CREATE INDEX change_log_by_transaction ON change_log (transaction_id);
CREATE INDEX change_log_by_directory ON change_log (directory, position);

CREATE TABLE change_log_head (
    id BIGINT PRIMARY KEY,
    last_position BIGINT NOT NULL,
    last_seal_number BIGINT NOT NULL,
    last_seal BYTEA NOT NULL
);
INSERT INTO change_log_head (id, last_position, last_seal_number, last_seal) VALUES (1, 0, 0, '');

CREATE TABLE change_seals (
    number BIGINT PRIMARY KEY,
    first_position BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    root BYTEA NOT NULL,
    seal BYTEA NOT NULL,
    seal_time BIGINT NOT NULL
);

CREATE TABLE refusals (
    directory UUID NOT NULL,
    minute BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    trace_id TEXT COLLATE "C",
    PRIMARY KEY (directory, minute, actor, action, target, code, reason)
);
CREATE INDEX refusals_by_minute ON refusals (minute);

CREATE TABLE holds (
    directory UUID NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    -- Null while it is being taken.
    lien UUID,
    revision BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    hold_time BIGINT NOT NULL,
    PRIMARY KEY (directory, reason)
);
-- For rounds over what is being taken, what is held, and what is being let go.
CREATE INDEX holds_by_state ON holds (state, hold_time, directory, reason);
