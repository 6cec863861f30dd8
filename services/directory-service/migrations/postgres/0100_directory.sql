-- Directories, their domains, and the liens on them. Times are microseconds since 1970 in UTC.

-- `locks` counts the transactions that took the row's lock first. It guards state, domains and liens.
-- `activate_time` tells an abandoned directory from a deleted one: it is set once, and never taken back. `labels` and
-- `exempted_principals` are JSON. What is deleted has its content as long as it has a `purge_time` (D-36).
-- `display_name_key` is the name as it is compared and ordered: NFC, lower case (K32).
CREATE TABLE directories (
    id UUID NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    display_name_key TEXT COLLATE "C" NOT NULL,
    initial_domain TEXT COLLATE "C" NOT NULL,
    primary_domain TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    language_code TEXT COLLATE "C" NOT NULL,
    labels TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    agreement_type TEXT COLLATE "C" NOT NULL,
    members_may_create_subscriptions BOOLEAN NOT NULL,
    subscriptions_may_leave BOOLEAN NOT NULL,
    subscriptions_may_enter BOOLEAN NOT NULL,
    exempted_principals TEXT COLLATE "C" NOT NULL,
    state_reason TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    activate_time BIGINT,
    suspend_time BIGINT,
    delete_time BIGINT,
    purge_time BIGINT,
    revision BIGINT NOT NULL,
    locks BIGINT NOT NULL
);
CREATE INDEX directories_by_create_time ON directories (create_time, id) WHERE state <> 'DELETED';
CREATE INDEX directories_by_purge_time ON directories (purge_time) WHERE state = 'DELETED' AND purge_time IS NOT NULL;

-- A directory between two states: what it is to become, of which revision identity is told, and by whose call. Whoever
-- finishes it does so in that call's name; if its process died, a worker does, from `attempt_time` on (K2, K38).
CREATE TABLE directory_moves (
    directory UUID NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    goal TEXT COLLATE "C" NOT NULL,
    call TEXT COLLATE "C" NOT NULL,
    attempt_time BIGINT NOT NULL
);
CREATE INDEX directory_moves_by_attempt_time ON directory_moves (attempt_time);
CREATE INDEX directories_by_display_name ON directories (display_name_key, create_time, id) WHERE state <> 'DELETED';
-- The same with the deleted ones, and by state.
CREATE INDEX all_directories_by_create_time ON directories (create_time, id);
CREATE INDEX all_directories_by_display_name ON directories (display_name_key, create_time, id);
CREATE INDEX directories_by_state ON directories (state, create_time, id);
CREATE INDEX directories_by_state_and_name ON directories (state, display_name_key, create_time, id);
CREATE INDEX directories_by_initial_domain ON directories (initial_domain);
CREATE INDEX directories_by_primary_domain ON directories (primary_domain);

CREATE TABLE domains (
    directory UUID NOT NULL,
    domain TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    verify_time BIGINT,
    PRIMARY KEY (directory, domain)
);

-- Which directory has a verified domain: the one key that spans directories (K16), because a domain is verified in at
-- most one of them (D-15). A row outlives the directory that was active once: its label is never given again (K37).
CREATE TABLE domain_claims (
    domain TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    directory UUID NOT NULL
);

-- `resource` is what the lien guards, below its directory: empty for the directory itself, or `domains/{domain}`.
-- `restrictions` and `blockers` are JSON.
CREATE TABLE liens (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    restrictions TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    blockers TEXT COLLATE "C" NOT NULL,
    blocker_count BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    create_principal TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (directory, id)
);
CREATE UNIQUE INDEX liens_by_origin ON liens (directory, resource, origin, create_principal);
CREATE INDEX liens_by_create_time ON liens (directory, create_time, id);

-- The highest revision that was removed of a creator's liens with one origin: what asks for it late, asks in vain.
CREATE TABLE removed_liens (
    directory UUID NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL,
    create_principal TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (directory, resource, origin, create_principal)
);
