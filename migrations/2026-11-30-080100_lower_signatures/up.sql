-- Of the two signatures that ES256 has for one token the server makes the lower one. NULL: tokens of this key may carry the
-- other one, too, until a server has begun.
ALTER TABLE signing_keys ADD COLUMN lower_from BIGINT;
