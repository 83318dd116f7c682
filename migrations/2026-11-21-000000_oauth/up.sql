-- Consents, refresh with proof of receipt, resource indicators, two live secrets, approval of applications.

CREATE TABLE consents (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    application_id TEXT NOT NULL REFERENCES applications (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    scopes TEXT NOT NULL,
    reach TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX consents_one_live ON consents (user_id, application_id, organization_id) WHERE state = 'active';
CREATE INDEX consents_by_application ON consents (application_id, state);
CREATE INDEX consents_by_revocation ON consents (revoked_at) WHERE state = 'revoked';

CREATE TABLE consent_workspaces (
    consent_id TEXT NOT NULL REFERENCES consents (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (consent_id, workspace_id)
);

ALTER TABLE authorizations ADD COLUMN consent_id TEXT REFERENCES consents (id);
ALTER TABLE authorizations ADD COLUMN session_id TEXT;
ALTER TABLE authorizations ADD COLUMN resources TEXT NOT NULL DEFAULT '';
ALTER TABLE authorizations ADD COLUMN last_used_at BIGINT;
-- When nothing can come of it any more; none for one that stands.
ALTER TABLE authorizations ADD COLUMN row_expires_at BIGINT;
CREATE INDEX authorizations_by_consent ON authorizations (consent_id);
CREATE INDEX authorizations_by_row_expiry ON authorizations (row_expires_at);
UPDATE authorizations SET row_expires_at = expires_at;
-- Codes live for a minute: those that wait during the upgrade start again.
UPDATE authorizations SET state = 'revoked', revoked_because = 'the server was upgraded' WHERE state = 'pending';

-- What people have allowed before there were consents: the newest authorization of each tells it.
INSERT INTO consents (id, user_id, application_id, organization_id, scopes, reach, state, created_at, updated_at)
SELECT 'con_' || substr(a.id, 4), a.user_id, a.application_id, a.organization_id, a.scopes, a.reach, 'active', a.created_at, a.created_at
FROM authorizations a
WHERE a.kind = 'authorization_code' AND a.state = 'active' AND NOT EXISTS (
    SELECT 1 FROM authorizations b
    WHERE b.user_id = a.user_id AND b.application_id = a.application_id AND b.organization_id = a.organization_id
        AND b.kind = 'authorization_code' AND b.state = 'active'
        AND (b.created_at > a.created_at OR (b.created_at = a.created_at AND b.id > a.id))
);
INSERT INTO consent_workspaces (consent_id, workspace_id)
SELECT 'con_' || substr(w.authorization_id, 4), w.workspace_id FROM authorization_workspaces w
WHERE 'con_' || substr(w.authorization_id, 4) IN (SELECT id FROM consents);
UPDATE authorizations SET consent_id = (
    SELECT c.id FROM consents c
    WHERE c.user_id = authorizations.user_id AND c.application_id = authorizations.application_id
        AND c.organization_id = authorizations.organization_id
) WHERE kind = 'authorization_code' AND state = 'active';

ALTER TABLE refresh_tokens ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
-- A token that was consumed before is nobody's neighbour: its return is a theft.
UPDATE refresh_tokens SET generation = -1 WHERE state <> 'active';
-- The access token that came with it, and whether anybody has seen it since.
ALTER TABLE refresh_tokens ADD COLUMN access_token_id TEXT;
ALTER TABLE refresh_tokens ADD COLUMN access_token_expires_at BIGINT;
ALTER TABLE refresh_tokens ADD COLUMN received_at BIGINT;
CREATE UNIQUE INDEX refresh_tokens_one_live ON refresh_tokens (authorization_id) WHERE state = 'active';
CREATE INDEX refresh_tokens_by_access_token ON refresh_tokens (access_token_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_by_consumption ON refresh_tokens (consumed_at) WHERE state <> 'active';

ALTER TABLE access_tokens ADD COLUMN resources TEXT NOT NULL DEFAULT '';

-- Requests live for minutes: those that wait during the upgrade start again.
DROP TABLE authorization_requests;
CREATE TABLE authorization_requests (
    id TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id),
    redirect_uri TEXT NOT NULL,
    scopes TEXT NOT NULL,
    resources TEXT NOT NULL,
    state TEXT,
    code_challenge TEXT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX authorization_requests_by_session ON authorization_requests (session_id);
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (expires_at);

ALTER TABLE applications ADD COLUMN grants TEXT NOT NULL DEFAULT 'authorization_code refresh_token client_credentials';
UPDATE applications SET grants = 'authorization_code refresh_token' WHERE client_type = 'public';
ALTER TABLE applications ADD COLUMN refresh_rotation BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE applications ADD COLUMN refresh_idle_seconds BIGINT;
ALTER TABLE applications ADD COLUMN refresh_absolute_seconds BIGINT;
ALTER TABLE applications ADD COLUMN approval TEXT NOT NULL DEFAULT 'none';
-- What people of other organizations use already goes on.
UPDATE applications SET approval = 'approved' WHERE environment = 'production' AND EXISTS (
    SELECT 1 FROM authorizations a
    WHERE a.application_id = applications.id AND a.organization_id <> applications.organization_id AND a.state = 'active'
);
ALTER TABLE applications ADD COLUMN approval_reason TEXT;
ALTER TABLE applications ADD COLUMN verified_at BIGINT;
ALTER TABLE applications ADD COLUMN stopped_at BIGINT;
ALTER TABLE applications ADD COLUMN stopped_because TEXT;
ALTER TABLE applications ADD COLUMN last_used_at BIGINT;
CREATE INDEX applications_by_approval ON applications (approval, created_at);

ALTER TABLE application_secrets ADD COLUMN hint TEXT NOT NULL DEFAULT '';
ALTER TABLE application_secrets ADD COLUMN last_used_at BIGINT;
ALTER TABLE application_secrets ADD COLUMN revoked_at BIGINT;

-- RFC 8707: what a resource server is called in `resource` and `aud`.
CREATE TABLE resources (
    uri TEXT NOT NULL PRIMARY KEY,
    resource_server_id TEXT NOT NULL REFERENCES resource_servers (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX resources_by_server ON resources (resource_server_id);
-- Whether tokens that name no resource are for it, too.
ALTER TABLE resource_servers ADD COLUMN default_audience BOOLEAN NOT NULL DEFAULT TRUE;
