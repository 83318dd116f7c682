-- Passwords that are guessed, and addresses that somebody else has proven.

-- In a row, since the last right one.
ALTER TABLE users ADD COLUMN wrong_passwords BIGINT NOT NULL DEFAULT 0;
-- When somebody else proved the address that the member was invited by. The membership is suspended until an admin confirms it.
ALTER TABLE members ADD COLUMN address_lost_at BIGINT;
