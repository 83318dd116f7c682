-- Key lists that the database filters, and keys that ended long ago: they leave a small row behind.

-- The name in lower case, as the program writes it: lower() changes other letters on each database. `migrate` rewrites the
-- names in which that matters.
ALTER TABLE api_keys ADD COLUMN name_folded TEXT NOT NULL DEFAULT '';
UPDATE api_keys SET name_folded = lower(name);

-- Few keys of an organization are not revoked, and any number may be.
CREATE INDEX api_keys_by_state ON api_keys (organization_id, state, created_at, id);
-- For the sweep: what ended long ago, and what refers to it.
CREATE INDEX api_keys_by_revocation ON api_keys (revoked_at);
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at);
CREATE INDEX api_key_requests_by_key ON api_key_requests (api_key_id);
CREATE INDEX api_key_transfers_by_key ON api_key_transfers (api_key_id);
CREATE INDEX hand_overs_by_secret ON hand_overs (secret_id);

-- What stays of a key, for logs and usage.
CREATE TABLE retired_api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Of a key without a name: its environment and public id.
    name TEXT NOT NULL,
    owner_id TEXT NOT NULL REFERENCES users (id),
    environment TEXT NOT NULL,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    -- When it was revoked or expired, whichever came first.
    ended_at BIGINT NOT NULL
);
CREATE INDEX retired_api_keys_by_organization ON retired_api_keys (organization_id, ended_at, id);
