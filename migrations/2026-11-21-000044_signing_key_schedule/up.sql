-- Signing keys by schedule. Of two rotations at once the second meets the unique index.
-- `replaces`: the kid of the newest key when this one was made; empty for the first.
ALTER TABLE signing_keys ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
-- When the server first put it into its key set.
ALTER TABLE signing_keys ADD COLUMN published_at BIGINT;
-- The longest lifetime of a token that it may have signed.
ALTER TABLE signing_keys ADD COLUMN longest_token_seconds BIGINT NOT NULL DEFAULT 0;
UPDATE signing_keys SET replaces = '-' || kid, published_at = created_at;
CREATE UNIQUE INDEX signing_keys_by_replaced ON signing_keys (replaces);
