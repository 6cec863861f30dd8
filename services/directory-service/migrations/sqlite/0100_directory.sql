-- Directories, their domains, and the liens on them. Times are microseconds since 1970 in UTC.

-- `locks` counts the transactions that took the row's lock first. It guards state, domains and liens.
-- `activate_time` tells an abandoned directory from a deleted one: it is set once, and never taken back. `labels` and
-- `exempted_principals` are JSON. What is deleted has its content as long as it has a `purge_time` (D-36).
-- `display_name_key` is the name as it is compared and ordered: NFC, lower case (K32).
CREATE TABLE directories (
    id BLOB NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    display_name_key TEXT NOT NULL,
    initial_domain TEXT NOT NULL,
    primary_domain TEXT NOT NULL,
    region_code TEXT NOT NULL,
    language_code TEXT NOT NULL,
    labels TEXT NOT NULL,
    state TEXT NOT NULL,
    agreement_type TEXT NOT NULL,
    members_may_create_subscriptions INTEGER NOT NULL,
    subscriptions_may_leave INTEGER NOT NULL,
    subscriptions_may_enter INTEGER NOT NULL,
    exempted_principals TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    activate_time INTEGER,
    suspend_time INTEGER,
    delete_time INTEGER,
    purge_time INTEGER,
    revision INTEGER NOT NULL,
    locks INTEGER NOT NULL
) STRICT;
CREATE INDEX directories_by_create_time ON directories (create_time, id) WHERE state <> 'DELETED';
CREATE INDEX directories_by_purge_time ON directories (purge_time) WHERE state = 'DELETED' AND purge_time IS NOT NULL;

-- A directory between two states: what it is to become, of which revision identity is told, and by whose call. Whoever
-- finishes it does so in that call's name; if its process died, a worker does, from `attempt_time` on (K2, K38).
CREATE TABLE directory_moves (
    directory BLOB NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    goal TEXT NOT NULL,
    call TEXT NOT NULL,
    attempt_time INTEGER NOT NULL
) STRICT;
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
    directory BLOB NOT NULL,
    domain TEXT NOT NULL,
    state TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    verify_time INTEGER,
    PRIMARY KEY (directory, domain)
) STRICT;

-- Which directory has a verified domain: the one key that spans directories (K16), because a domain is verified in at
-- most one of them (D-15). A row outlives the directory that was active once: its label is never given again (K37).
CREATE TABLE domain_claims (
    domain TEXT NOT NULL PRIMARY KEY,
    directory BLOB NOT NULL
) STRICT;

-- `resource` is what the lien guards, below its directory: empty for the directory itself, or `domains/{domain}`.
-- `restrictions` and `blockers` are JSON.
CREATE TABLE liens (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    resource TEXT NOT NULL,
    restrictions TEXT NOT NULL,
    reason TEXT NOT NULL,
    origin TEXT NOT NULL,
    holder TEXT NOT NULL,
    revision INTEGER NOT NULL,
    blockers TEXT NOT NULL,
    blocker_count INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    create_principal TEXT NOT NULL,
    PRIMARY KEY (directory, id)
) STRICT;
CREATE UNIQUE INDEX liens_by_origin ON liens (directory, resource, origin, create_principal);
CREATE INDEX liens_by_create_time ON liens (directory, create_time, id);

-- The highest revision that was removed of a creator's liens with one origin: what asks for it late, asks in vain.
CREATE TABLE removed_liens (
    directory BLOB NOT NULL,
    resource TEXT NOT NULL,
    origin TEXT NOT NULL,
    create_principal TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (directory, resource, origin, create_principal)
) STRICT;
