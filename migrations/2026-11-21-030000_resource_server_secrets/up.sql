-- Two live secrets of a resource server: what tells them apart, and when one ended.

ALTER TABLE resource_server_secrets ADD COLUMN hint TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_server_secrets ADD COLUMN revoked_at BIGINT;
