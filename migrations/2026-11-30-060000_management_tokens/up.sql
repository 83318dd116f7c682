-- Management tokens, and what their making needs: when a session's person last proved who they are.

-- unix milliseconds; of a session from before this migration, when it began
ALTER TABLE sessions ADD COLUMN proven_at BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET proven_at = created_at;

CREATE TABLE management_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- who made it: it acts as that person
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    -- names, separated by one space
    permissions TEXT NOT NULL,
    reach TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX management_tokens_page ON management_tokens (organization_id, created_at, id);
CREATE INDEX management_tokens_by_maker ON management_tokens (user_id);

CREATE TABLE management_token_workspaces (
    management_token_id TEXT NOT NULL REFERENCES management_tokens (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (management_token_id, workspace_id)
);
CREATE INDEX management_token_workspaces_by_workspace ON management_token_workspaces (workspace_id);

-- For commands beside a running server: how often they have written, and up to which of these writes the server has forgotten
-- what it remembered. Two rows, so that neither side waits for the other's lock.
CREATE TABLE foreign_writes (
    name TEXT NOT NULL PRIMARY KEY,
    count BIGINT NOT NULL
);
INSERT INTO foreign_writes (name, count) VALUES ('written', 0), ('noticed', 0);

-- the operator token that has made this one: it ends with that
ALTER TABLE operator_tokens ADD COLUMN made_by TEXT REFERENCES operator_tokens (id);
CREATE INDEX operator_tokens_made_by ON operator_tokens (made_by);
