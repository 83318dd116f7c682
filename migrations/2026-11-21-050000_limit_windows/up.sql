-- The windows of the limits of credentials and owners, as of the last flush: a restart gives nobody a fresh quota.

CREATE TABLE limit_windows (
    -- the policy, a space, and whose it is
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    window_millis BIGINT NOT NULL,
    -- `unix milliseconds:how many`, separated by spaces, the oldest first
    admissions TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);

CREATE INDEX limit_windows_by_end ON limit_windows (ends_at);
