-- Directories, their domains, and the liens on them. Times are microseconds since 1970 in UTC.

-- `locks` counts the transactions that took the row's lock first. It guards state, domains and liens.
-- `activate_time` tells an abandoned directory from a deleted one: it is set once, and never taken back.
CREATE TABLE directories (
    id BLOB NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    initial_domain TEXT NOT NULL,
    primary_domain TEXT NOT NULL,
    region_code TEXT NOT NULL,
    state TEXT NOT NULL,
    agreement_type TEXT NOT NULL,
    members_may_create_subscriptions INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    activate_time INTEGER,
    revision INTEGER NOT NULL,
    locks INTEGER NOT NULL
) STRICT;
CREATE INDEX directories_by_create_time ON directories (create_time, id) WHERE state <> 'DELETED';

-- `reversed` has the labels from the last to the first: what lies below a domain stands together there.
-- `challenge` and what follows are null where nothing is to be proven.
CREATE TABLE domains (
    directory BLOB NOT NULL,
    domain TEXT NOT NULL,
    reversed TEXT NOT NULL,
    state TEXT NOT NULL,
    challenge TEXT,
    challenge_expire_time INTEGER,
    rotations INTEGER NOT NULL,
    rotation_day INTEGER NOT NULL,
    last_check_time INTEGER,
    last_check_result TEXT,
    create_time INTEGER NOT NULL,
    verify_time INTEGER,
    revision INTEGER NOT NULL,
    PRIMARY KEY (directory, domain)
) STRICT;
CREATE INDEX domains_by_create_time ON domains (directory, create_time, domain);
CREATE UNIQUE INDEX domains_by_reversed ON domains (directory, reversed);

-- Which directory has a verified domain: the one key that spans directories (K16), because a domain is verified in at
-- most one of them (D-15). A row outlives the directory that was active once: its label is never given again (K37).
CREATE TABLE domain_claims (
    domain TEXT NOT NULL PRIMARY KEY,
    reversed TEXT NOT NULL,
    directory BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX domain_claims_by_reversed ON domain_claims (reversed);

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
