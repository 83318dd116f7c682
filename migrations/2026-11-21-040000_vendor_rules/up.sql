-- Plans, the Dev Centre's switch, custom roles, memberships that end, and keys with two secrets.

ALTER TABLE organizations ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
ALTER TABLE organizations ADD COLUMN dev_centre_enabled_at BIGINT;
-- Organizations that are there already have used it.
UPDATE organizations SET dev_centre_enabled_at = created_at;
ALTER TABLE organizations ADD COLUMN trial_started_at BIGINT;
ALTER TABLE organizations ADD COLUMN trial_ends_at BIGINT;
ALTER TABLE organizations ADD COLUMN production_use_case TEXT;
ALTER TABLE organizations ADD COLUMN production_requested_at BIGINT;
ALTER TABLE organizations ADD COLUMN production_decided_at BIGINT;
ALTER TABLE organizations ADD COLUMN production_reason TEXT;
-- What acts for keys that belong to the organization itself.
ALTER TABLE organizations ADD COLUMN service_account_id TEXT REFERENCES users (id);

-- No row: the default plan.
CREATE TABLE subscriptions (
    organization_id TEXT NOT NULL PRIMARY KEY REFERENCES organizations (id),
    external_id TEXT UNIQUE,
    plan TEXT NOT NULL,
    full_seats BIGINT,
    read_only_seats BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

ALTER TABLE members ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE members ADD COLUMN ends_at BIGINT;

ALTER TABLE workspaces ADD COLUMN is_service BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE workspaces ADD COLUMN service_account_id TEXT REFERENCES users (id);

-- `permissions`: names of the catalogue, separated by spaces.
CREATE TABLE roles (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);

-- The secrets of a key leave its row: there are up to two.
CREATE TABLE api_keys_next (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    environment TEXT NOT NULL,
    prefix TEXT NOT NULL,
    marker TEXT NOT NULL,
    public_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    reach TEXT NOT NULL,
    permission_level TEXT NOT NULL,
    organization_operations BOOLEAN NOT NULL,
    self_rotation BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT,
    simulates TEXT,
    simulates_until BIGINT,
    expires_at BIGINT,
    last_used_at BIGINT,
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    revoked_by TEXT REFERENCES users (id),
    revoked_at BIGINT
);
INSERT INTO api_keys_next
SELECT id, organization_id, owner_id, environment, prefix, marker, public_id, name, description, reach, permission_level,
    organization_operations, FALSE, state, NULL, NULL, NULL, expires_at, last_used_at, created_by, created_at, revoked_by, revoked_at
FROM api_keys;
CREATE TABLE api_key_workspaces_next (
    api_key_id TEXT NOT NULL REFERENCES api_keys_next (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (api_key_id, workspace_id)
);
INSERT INTO api_key_workspaces_next SELECT api_key_id, workspace_id FROM api_key_workspaces;
-- `pending` until its first use, which starts the grace of the `active` one and makes it `retiring`.
CREATE TABLE api_key_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    api_key_id TEXT NOT NULL REFERENCES api_keys_next (id),
    public_id TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    -- Seconds that the older secret lives on once this one is used.
    grace_seconds BIGINT NOT NULL,
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    first_used_at BIGINT,
    last_used_at BIGINT,
    last_used_from TEXT,
    -- The end of the grace.
    expires_at BIGINT
);
INSERT INTO api_key_secrets
SELECT 'ks_' || substr(id, 5), id, public_id, digest, CASE WHEN state = 'revoked' THEN 'revoked' ELSE 'active' END, 0, created_by, created_at,
    last_used_at, last_used_at, NULL, NULL
FROM api_keys;
DROP TABLE api_key_workspaces;
DROP TABLE api_keys;
ALTER TABLE api_keys_next RENAME TO api_keys;
ALTER TABLE api_key_workspaces_next RENAME TO api_key_workspaces;
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at, id);
CREATE INDEX api_keys_by_owner ON api_keys (owner_id);
CREATE INDEX api_key_workspaces_by_workspace ON api_key_workspaces (workspace_id);
CREATE INDEX api_key_secrets_by_key ON api_key_secrets (api_key_id);
CREATE UNIQUE INDEX api_key_secrets_one_active ON api_key_secrets (api_key_id) WHERE state = 'active';
CREATE UNIQUE INDEX api_key_secrets_one_pending ON api_key_secrets (api_key_id) WHERE state = 'pending';

-- Who has seen which secret: of keys and of applications.
CREATE TABLE secret_disclosures (
    secret_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    shown_at BIGINT NOT NULL,
    PRIMARY KEY (secret_id, user_id)
);
CREATE INDEX secret_disclosures_by_user ON secret_disclosures (user_id);
