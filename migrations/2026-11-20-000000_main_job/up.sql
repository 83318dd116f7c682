-- One set of SQL for SQLite and PostgreSQL: TEXT ids and words, BIGINT unix milliseconds, BOOLEAN, no defaults that differ.
-- What is older is told by created_at, never by the id: under most collations of PostgreSQL base62 does not sort by its bytes.

CREATE TABLE organizations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    external_id TEXT UNIQUE,
    state TEXT NOT NULL,
    production_access TEXT NOT NULL,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE domains (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    verified_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    email TEXT UNIQUE,
    email_verified_at BIGINT,
    name TEXT NOT NULL,
    password_hash TEXT,
    state TEXT NOT NULL,
    operator BOOLEAN NOT NULL,
    external_id TEXT UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE members (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    licence TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    external_id TEXT UNIQUE,
    created_at BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE workspace_members (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX workspace_members_by_user ON workspace_members (user_id);

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    environment TEXT NOT NULL,
    prefix TEXT NOT NULL,
    marker TEXT NOT NULL,
    public_id TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    reach TEXT NOT NULL,
    permission_level TEXT NOT NULL,
    organization_operations BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    revoked_by TEXT REFERENCES users (id),
    revoked_at BIGINT
);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at, id);
CREATE INDEX api_keys_by_owner ON api_keys (owner_id);

CREATE TABLE api_key_workspaces (
    api_key_id TEXT NOT NULL REFERENCES api_keys (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (api_key_id, workspace_id)
);
CREATE INDEX api_key_workspaces_by_workspace ON api_key_workspaces (workspace_id);

CREATE TABLE applications (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    client_type TEXT NOT NULL,
    access_token_format TEXT NOT NULL,
    scopes TEXT NOT NULL,
    service_account_id TEXT REFERENCES users (id),
    state TEXT NOT NULL,
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX applications_by_organization ON applications (organization_id, created_at, id);

CREATE TABLE application_redirect_uris (
    application_id TEXT NOT NULL REFERENCES applications (id),
    uri TEXT NOT NULL,
    PRIMARY KEY (application_id, uri)
);

CREATE TABLE application_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    application_id TEXT NOT NULL REFERENCES applications (id),
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX application_secrets_by_application ON application_secrets (application_id);

CREATE TABLE resource_servers (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    environment TEXT,
    obligations TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE resource_server_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    resource_server_id TEXT NOT NULL REFERENCES resource_servers (id),
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX resource_server_secrets_by_server ON resource_server_secrets (resource_server_id);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE authorization_requests (
    id TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id),
    redirect_uri TEXT NOT NULL,
    scopes TEXT NOT NULL,
    state TEXT,
    code_challenge TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX authorization_requests_by_session ON authorization_requests (session_id);
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (expires_at);

CREATE TABLE authorizations (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    environment TEXT NOT NULL,
    scopes TEXT NOT NULL,
    reach TEXT NOT NULL,
    state TEXT NOT NULL,
    redirect_uri TEXT,
    code_challenge TEXT,
    code_digest TEXT UNIQUE,
    code_expires_at BIGINT,
    wrong_verifiers BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    revoked_because TEXT
);
CREATE INDEX authorizations_by_application ON authorizations (application_id, kind);
CREATE INDEX authorizations_by_user ON authorizations (user_id);

CREATE TABLE authorization_workspaces (
    authorization_id TEXT NOT NULL REFERENCES authorizations (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (authorization_id, workspace_id)
);

CREATE TABLE refresh_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    authorization_id TEXT NOT NULL REFERENCES authorizations (id),
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    consumed_at BIGINT
);
CREATE INDEX refresh_tokens_by_authorization ON refresh_tokens (authorization_id);

CREATE TABLE access_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    authorization_id TEXT NOT NULL REFERENCES authorizations (id),
    digest TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_by_authorization ON access_tokens (authorization_id);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

-- Access tokens revoked before their expiry, opaque ones and JWTs alike, by id (`jti`).
CREATE TABLE revoked_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    sealed_private_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL
);

CREATE TABLE audit_events (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT,
    actor_id TEXT,
    event TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX audit_events_by_organization ON audit_events (organization_id, created_at, id);
