-- Keys that are asked for, handed over and transferred.

-- Since when the owner has it: whoever was removed and came back after that does not own it again.
ALTER TABLE api_keys ADD COLUMN owned_since BIGINT NOT NULL DEFAULT 0;
UPDATE api_keys SET owned_since = created_at;

-- A member asks an admin for a key; the secret is made when the member collects it.
CREATE TABLE api_key_requests (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    requester_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    environment TEXT NOT NULL,
    reach TEXT NOT NULL,
    -- Ids, separated by spaces.
    workspaces TEXT NOT NULL,
    permission_level TEXT NOT NULL,
    expires_at BIGINT,
    state TEXT NOT NULL,
    decided_by TEXT REFERENCES users (id),
    decided_at BIGINT,
    decision_reason TEXT,
    api_key_id TEXT REFERENCES api_keys (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX api_key_requests_by_organization ON api_key_requests (organization_id, created_at, id);

-- A one-time link for somebody outside; the secret is made when the link is used.
CREATE TABLE hand_overs (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    api_key_id TEXT NOT NULL REFERENCES api_keys (id),
    email TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    wrong_addresses BIGINT NOT NULL,
    -- Of the secret in use, once the new one is used.
    grace_seconds BIGINT NOT NULL,
    secret_id TEXT REFERENCES api_key_secrets (id),
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX hand_overs_by_key ON hand_overs (api_key_id);

-- An offer of a key to another owner, who takes it with a new secret.
CREATE TABLE api_key_transfers (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    api_key_id TEXT NOT NULL REFERENCES api_keys (id),
    from_id TEXT NOT NULL REFERENCES users (id),
    to_id TEXT NOT NULL REFERENCES users (id),
    offered_by TEXT NOT NULL REFERENCES users (id),
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_at BIGINT
);
CREATE INDEX api_key_transfers_by_organization ON api_key_transfers (organization_id, created_at, id);
CREATE UNIQUE INDEX api_key_transfers_one_open ON api_key_transfers (api_key_id) WHERE state = 'open';
