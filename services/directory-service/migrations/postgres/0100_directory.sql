-- Directories, their domains, and the liens on them. Times are microseconds since 1970 in UTC.

-- `locks` counts the transactions that took the row's lock first. It guards state, domains and liens.
-- `activate_time` tells an abandoned directory from a deleted one: it is set once, and never taken back.
CREATE TABLE directories (
    id UUID NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    initial_domain TEXT COLLATE "C" NOT NULL,
    primary_domain TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    agreement_type TEXT COLLATE "C" NOT NULL,
    members_may_create_subscriptions BOOLEAN NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    activate_time BIGINT,
    revision BIGINT NOT NULL,
    locks BIGINT NOT NULL
);
CREATE INDEX directories_by_create_time ON directories (create_time, id) WHERE state <> 'DELETED';

-- `reversed` has the labels from the last to the first: what lies below a domain stands together there.
-- `challenge` and what follows are null where nothing is to be proven.
CREATE TABLE domains (
    directory UUID NOT NULL,
    domain TEXT COLLATE "C" NOT NULL,
    reversed TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    challenge TEXT COLLATE "C",
    challenge_expire_time BIGINT,
    rotations BIGINT NOT NULL,
    rotation_day BIGINT NOT NULL,
    last_check_time BIGINT,
    last_check_result TEXT COLLATE "C",
    create_time BIGINT NOT NULL,
    verify_time BIGINT,
    revision BIGINT NOT NULL,
    PRIMARY KEY (directory, domain)
);
CREATE INDEX domains_by_create_time ON domains (directory, create_time, domain);
CREATE UNIQUE INDEX domains_by_reversed ON domains (directory, reversed);

-- Which directory has a verified domain: the one key that spans directories (K16), because a domain is verified in at
-- most one of them (D-15). A row outlives the directory that was active once: its label is never given again (K37).
CREATE TABLE domain_claims (
    domain TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    reversed TEXT COLLATE "C" NOT NULL,
    directory UUID NOT NULL
);
CREATE UNIQUE INDEX domain_claims_by_reversed ON domain_claims (reversed);

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
