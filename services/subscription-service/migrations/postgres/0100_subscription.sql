-- The subscription context: subscriptions, orders, trials, role assignments; ids of directories lead the keys.

CREATE TABLE subscriptions (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- Null: the directory itself owns it (P-2).
    owner_user UUID,
    product TEXT COLLATE "C" NOT NULL,
    offer TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    -- Null: it has none.
    seats BIGINT,
    term TEXT COLLATE "C" NOT NULL,
    start_time BIGINT NOT NULL,
    trial_end_time BIGINT,
    -- The instants from which the state follows (K27); the end of time where it never changes.
    active_until BIGINT NOT NULL,
    disabled_from BIGINT NOT NULL,
    deleted_from BIGINT NOT NULL,
    -- What was announced, not what is (K27).
    announced_state TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (directory, id)
);
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
    id UUID NOT NULL PRIMARY KEY,
    directory UUID NOT NULL
);

CREATE TABLE orders (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    subscription UUID NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    offer TEXT COLLATE "C" NOT NULL,
    line TEXT COLLATE "C" NOT NULL,
    trial BOOLEAN NOT NULL,
    place_principal TEXT COLLATE "C" NOT NULL,
    place_time BIGINT NOT NULL,
    next_charge_time BIGINT,
    PRIMARY KEY (directory, id)
);
CREATE INDEX orders_by_place_time ON orders (directory, place_time, id);
CREATE INDEX orders_by_principal ON orders (directory, place_principal, place_time, id);

-- The guard row of a product in a directory (K45), and what was ever had of it, for ever (K25).
CREATE TABLE product_guards (
    directory UUID NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    uses BIGINT NOT NULL,
    first_attach_time BIGINT,
    trial_time BIGINT,
    PRIMARY KEY (directory, product)
);

-- The guard row of a user who signs up for Azure, and since when, for ever (S-04, P-14).
CREATE TABLE azure_owner_guards (
    directory UUID NOT NULL,
    owner_user UUID NOT NULL,
    uses BIGINT NOT NULL,
    first_sign_up_time BIGINT,
    free_trial_time BIGINT,
    PRIMARY KEY (directory, owner_user)
);

CREATE TABLE role_assignments (
    directory UUID NOT NULL,
    id UUID NOT NULL,
    subscription UUID NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    role_definition UUID NOT NULL,
    principal TEXT COLLATE "C" NOT NULL,
    create_principal TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (directory, id)
);
CREATE UNIQUE INDEX role_assignments_once ON role_assignments (directory, subscription, scope, principal, role_definition);

-- What was last heard of each directory, also after its end: a decision by an older answer starts over (K12).
CREATE TABLE directory_states (
    directory UUID NOT NULL PRIMARY KEY,
    state TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    locks BIGINT NOT NULL
);
