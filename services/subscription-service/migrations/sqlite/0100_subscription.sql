-- The subscription context: subscriptions, orders, trials, role assignments; ids of directories lead the keys.

CREATE TABLE subscriptions (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    -- Null: the directory itself owns it (P-2).
    owner_user BLOB,
    product TEXT NOT NULL,
    offer TEXT NOT NULL,
    display_name TEXT NOT NULL,
    -- Null: it has none.
    seats INTEGER,
    term TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    trial_end_time INTEGER,
    -- The instants from which the state follows (K27); the end of time where it never changes.
    active_until INTEGER NOT NULL,
    disabled_from INTEGER NOT NULL,
    deleted_from INTEGER NOT NULL,
    -- What was announced, not what is (K27).
    announced_state TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (directory, id)
) STRICT;
-- K25: at most one subscription of a product that is not Deleted.
CREATE UNIQUE INDEX subscriptions_one_per_product ON subscriptions (directory, product)
    WHERE kind = 'KIND_OFFICE365_SEATS' AND announced_state <> 'STATE_DELETED';
CREATE INDEX subscriptions_by_create_time ON subscriptions (directory, create_time, id);
CREATE INDEX subscriptions_by_owner ON subscriptions (directory, owner_user, create_time, id);
CREATE INDEX subscriptions_by_kind ON subscriptions (directory, kind, create_time, id);
CREATE INDEX subscriptions_by_offer ON subscriptions (directory, product, offer, create_time, id);
CREATE INDEX subscriptions_by_end ON subscriptions (directory, deleted_from);

-- K16: the names of subscriptions carry no directory; this tells it.
CREATE TABLE subscription_locations (
    id BLOB NOT NULL PRIMARY KEY,
    directory BLOB NOT NULL
) STRICT;

CREATE TABLE orders (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    subscription BLOB NOT NULL,
    product TEXT NOT NULL,
    offer TEXT NOT NULL,
    line TEXT NOT NULL,
    trial INTEGER NOT NULL,
    place_principal TEXT NOT NULL,
    place_time INTEGER NOT NULL,
    next_charge_time INTEGER,
    PRIMARY KEY (directory, id)
) STRICT;
CREATE INDEX orders_by_place_time ON orders (directory, place_time, id);
CREATE INDEX orders_by_principal ON orders (directory, place_principal, place_time, id);

-- The guard row of a product in a directory (K45), and what was ever had of it, for ever (K25).
CREATE TABLE product_guards (
    directory BLOB NOT NULL,
    product TEXT NOT NULL,
    uses INTEGER NOT NULL,
    first_attach_time INTEGER,
    trial_time INTEGER,
    PRIMARY KEY (directory, product)
) STRICT;

-- The guard row of a user who signs up for Azure, and since when, for ever (S-04, P-14).
CREATE TABLE azure_owner_guards (
    directory BLOB NOT NULL,
    owner_user BLOB NOT NULL,
    uses INTEGER NOT NULL,
    first_sign_up_time INTEGER,
    free_trial_time INTEGER,
    PRIMARY KEY (directory, owner_user)
) STRICT;

CREATE TABLE role_assignments (
    directory BLOB NOT NULL,
    id BLOB NOT NULL,
    subscription BLOB NOT NULL,
    scope TEXT NOT NULL,
    role_definition BLOB NOT NULL,
    principal TEXT NOT NULL,
    create_principal TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (directory, id)
) STRICT;
CREATE UNIQUE INDEX role_assignments_once ON role_assignments (directory, subscription, scope, principal, role_definition);

-- What was last heard of each directory, also after its end: a decision by an older answer starts over (K12).
CREATE TABLE directory_states (
    directory BLOB NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    locks INTEGER NOT NULL
) STRICT;
