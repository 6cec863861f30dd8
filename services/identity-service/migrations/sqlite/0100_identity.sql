-- Who there is, who signed in, who holds which directory role. Times are microseconds since the epoch.

-- What identity knows of a directory; the guard row of P-4 (admin_guard).
CREATE TABLE directory_states (
    directory BLOB NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    admin_guard INTEGER NOT NULL,
    initial_domain TEXT NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    user_principal_name TEXT NOT NULL,
    upn_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    display_name_key TEXT NOT NULL,
    given_name TEXT NOT NULL,
    family_name TEXT NOT NULL,
    mail TEXT NOT NULL,
    region_code TEXT NOT NULL,
    language_code TEXT NOT NULL,
    state TEXT NOT NULL,
    user_type TEXT NOT NULL,
    home_directory BLOB,
    home_user BLOB,
    password_change_required INTEGER NOT NULL,
    last_sign_in_time INTEGER,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    principal_revision INTEGER NOT NULL,
    -- K11: the reason of the hold on the name's domain; empty under the initial one, which nobody can delete.
    domain_hold TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (directory, id)
) STRICT;
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
    directory BLOB NOT NULL,
    user_id BLOB NOT NULL,
    password_hash TEXT NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (directory, user_id)
) STRICT;

CREATE TABLE sessions (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    counter INTEGER NOT NULL,
    client_description TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    last_refresh_time INTEGER,
    expire_time INTEGER NOT NULL,
    revoke_time INTEGER,
    PRIMARY KEY (directory, id)
) STRICT;
CREATE INDEX sessions_by_expire_time ON sessions (expire_time);
CREATE INDEX sessions_by_revoke_time ON sessions (revoke_time);

CREATE TABLE role_assignments (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    principal BLOB NOT NULL,
    role TEXT NOT NULL,
    create_principal TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER,
    revision INTEGER NOT NULL,
    PRIMARY KEY (directory, id)
) STRICT;
CREATE UNIQUE INDEX role_assignments_by_principal ON role_assignments (directory, principal, role);
CREATE INDEX role_assignments_by_holder ON role_assignments (directory, principal, create_time, id);
CREATE INDEX role_assignments_by_create_time ON role_assignments (directory, create_time, id);
CREATE INDEX role_assignments_by_role ON role_assignments (directory, role, create_time, id);

-- K16: a sign-up begins before there is a directory that could lead the key.
CREATE TABLE sign_ups (
    id BLOB NOT NULL PRIMARY KEY,
    request_id BLOB NOT NULL,
    body_mac BLOB NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    organization_display_name TEXT NOT NULL,
    domain_label TEXT NOT NULL,
    region_code TEXT NOT NULL,
    agreement_type TEXT NOT NULL,
    directory BLOB,
    answer TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sign_ups_by_request_id ON sign_ups (request_id);
CREATE INDEX sign_ups_by_state ON sign_ups (state, update_time);

-- K16, K18: spent before anybody is known; the key is a MAC of what is limited.
CREATE TABLE throttles (
    subject BLOB NOT NULL PRIMARY KEY,
    full_time INTEGER NOT NULL
) STRICT;
CREATE INDEX throttles_by_full_time ON throttles (full_time);

-- K16, K21: the keys of access tokens serve all directories; sealed with the service's key.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    public_x TEXT NOT NULL,
    sealed BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    use_time INTEGER NOT NULL
) STRICT;

-- The guard row of signing_keys: whoever makes or retires a key locks it first.
CREATE TABLE signing_key_head (
    id INTEGER PRIMARY KEY,
    fence INTEGER NOT NULL
) STRICT;
INSERT INTO signing_key_head (id, fence) VALUES (1, 0);
