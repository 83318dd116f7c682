-- When a used refresh token came back within the grace, the last time.
ALTER TABLE authorizations ADD COLUMN marked_at BIGINT;
