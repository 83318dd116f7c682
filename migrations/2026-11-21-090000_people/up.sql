-- Invitations bound to an address, and requests to join.

CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- the normal form of the address
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    licence TEXT NOT NULL,
    -- the end of the membership that it grants
    member_ends_at BIGINT,
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    created_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decided_at BIGINT,
    accepted_by TEXT REFERENCES users (id)
);
CREATE INDEX invitations_page ON invitations (organization_id, created_at, id);
CREATE INDEX invitations_by_email ON invitations (email);
CREATE INDEX invitations_by_creator ON invitations (created_by);
CREATE UNIQUE INDEX invitations_one_pending ON invitations (organization_id, email) WHERE state = 'pending';

CREATE TABLE invitation_workspaces (
    invitation_id TEXT NOT NULL REFERENCES invitations (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    role TEXT NOT NULL,
    PRIMARY KEY (invitation_id, workspace_id)
);
CREATE INDEX invitation_workspaces_by_workspace ON invitation_workspaces (workspace_id);

CREATE TABLE join_requests (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    message TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_by TEXT REFERENCES users (id),
    decided_at BIGINT,
    reason TEXT
);
CREATE INDEX join_requests_page ON join_requests (organization_id, created_at, id);
CREATE UNIQUE INDEX join_requests_one_pending ON join_requests (organization_id, user_id) WHERE state = 'pending';
CREATE INDEX join_requests_by_user ON join_requests (user_id);

-- Row 31: the key, the authorization or the operator token by which the actor acted.
ALTER TABLE audit_events ADD COLUMN credential_id TEXT;

CREATE INDEX members_page ON members (organization_id, created_at, user_id);
CREATE INDEX members_by_end ON members (ends_at);
CREATE INDEX roles_page ON roles (organization_id, created_at, id);
