-- Who there is, who signed in, who holds which directory role. Times are microseconds since the epoch.

-- What identity knows of a directory; the guard row of P-4 (admin_guard).
CREATE TABLE directory_states (
    directory UUID NOT NULL PRIMARY KEY,
    state TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    admin_guard BIGINT NOT NULL,
    initial_domain TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL
);

CREATE TABLE users (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    user_principal_name TEXT COLLATE "C" NOT NULL,
    upn_key TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    display_name_key TEXT COLLATE "C" NOT NULL,
    given_name TEXT COLLATE "C" NOT NULL,
    family_name TEXT COLLATE "C" NOT NULL,
    mail TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    language_code TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    user_type TEXT COLLATE "C" NOT NULL,
    home_directory UUID,
    home_user UUID,
    password_change_required BOOLEAN NOT NULL,
    last_sign_in_time BIGINT,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    principal_revision BIGINT NOT NULL,
    -- K11: the reason of the hold on the name's domain; empty under the initial one, which nobody can delete.
    domain_hold TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (directory, id)
);
-- P-7: a user principal name is unique among those who are not deleted.
CREATE UNIQUE INDEX users_by_name ON users (directory, upn_key) WHERE state <> 'DELETED';
-- Signing in knows the name alone; its domain belongs to one directory.
CREATE INDEX users_by_upn_key ON users (upn_key);
CREATE INDEX users_by_create_time ON users (directory, create_time, id);
CREATE INDEX users_by_state ON users (directory, state, create_time, id);
CREATE INDEX users_by_user_type ON users (directory, user_type, create_time, id);
CREATE INDEX users_by_display_name ON users (directory, display_name_key);
CREATE INDEX users_by_directory_and_upn_key ON users (directory, upn_key);
CREATE INDEX users_by_domain_hold ON users (directory, domain_hold) WHERE domain_hold <> '' AND state <> 'DELETED';
CREATE INDEX users_by_home ON users (home_directory, home_user, create_time);

CREATE TABLE credentials (
    directory UUID NOT NULL,
    user_id UUID NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (directory, user_id)
);

CREATE TABLE sessions (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    counter BIGINT NOT NULL,
    client_description TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    last_refresh_time BIGINT,
    expire_time BIGINT NOT NULL,
    revoke_time BIGINT,
    PRIMARY KEY (directory, id)
);
CREATE INDEX sessions_by_expire_time ON sessions (expire_time);
CREATE INDEX sessions_by_revoke_time ON sessions (revoke_time);

CREATE TABLE role_assignments (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    principal UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    create_principal TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    expire_time BIGINT,
    revision BIGINT NOT NULL,
    PRIMARY KEY (directory, id)
);
CREATE UNIQUE INDEX role_assignments_by_principal ON role_assignments (directory, principal, role);
CREATE INDEX role_assignments_by_holder ON role_assignments (directory, principal, create_time, id);
CREATE INDEX role_assignments_by_create_time ON role_assignments (directory, create_time, id);
CREATE INDEX role_assignments_by_role ON role_assignments (directory, role, create_time, id);

-- K16: a sign-up begins before there is a directory that could lead the key.
CREATE TABLE sign_ups (
    id UUID NOT NULL PRIMARY KEY,
    request_id UUID NOT NULL,
    body_mac BYTEA NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    organization_display_name TEXT COLLATE "C" NOT NULL,
    domain_label TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    agreement_type TEXT COLLATE "C" NOT NULL,
    directory UUID,
    answer TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE UNIQUE INDEX sign_ups_by_request_id ON sign_ups (request_id);
CREATE INDEX sign_ups_by_state ON sign_ups (state, update_time);

-- K16, K18: spent before anybody is known; the key is a MAC of what is limited.
CREATE TABLE throttles (
    subject BYTEA NOT NULL PRIMARY KEY,
    full_time BIGINT NOT NULL
);
CREATE INDEX throttles_by_full_time ON throttles (full_time);

-- K16, K21: the keys of access tokens serve all directories; sealed with the service's key.
CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_x TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    use_time BIGINT NOT NULL
);

-- The guard row of signing_keys: whoever makes or retires a key locks it first.
CREATE TABLE signing_key_head (
    id BIGINT PRIMARY KEY,
    fence BIGINT NOT NULL
);
INSERT INTO signing_key_head (id, fence) VALUES (1, 0);
