-- Applications that register by themselves (RFC 7591), and the initial access tokens with which they may.

CREATE TABLE registration_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    max_clients BIGINT NOT NULL,
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX registration_tokens_by_organization ON registration_tokens (organization_id, created_at, id);

-- Beside the application: a few of them have one, and nobody needs it on the way of a token.
CREATE TABLE registrations (
    application_id TEXT NOT NULL PRIMARY KEY REFERENCES applications (id),
    -- None: registered while registration was open to anybody.
    registration_token_id TEXT REFERENCES registration_tokens (id),
    -- Of the registration access token (RFC 7592).
    management_digest TEXT UNIQUE,
    metadata TEXT NOT NULL,
    -- Of what makes two registrations the same; none for a confidential one, and for one that has ended.
    metadata_digest TEXT UNIQUE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX registrations_by_token ON registrations (registration_token_id);
CREATE INDEX registrations_by_use ON registrations (last_used_at);
