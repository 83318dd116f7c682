-- Sign-in at somebody else's provider (OpenID Connect).

-- What an organization has configured for its own people.
CREATE TABLE identity_providers (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL UNIQUE REFERENCES organizations (id),
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed_client_secret TEXT NOT NULL,
    name TEXT NOT NULL,
    enforced BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

-- Whose subject at which issuer. `realm` says who vouched: `operator`, or the id of the identity provider; what one of them
-- linked never counts for another, although both may use the same issuer.
CREATE TABLE identities (
    realm TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (realm, issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);

-- The organization whose provider made the session: it opens that organization and nothing else.
ALTER TABLE sessions ADD COLUMN confined_to TEXT REFERENCES organizations (id);
CREATE INDEX sessions_by_confinement ON sessions (confined_to);
