-- What the server knows of its own clock: one row, written every minute, so that a restart does not hide a leap.

CREATE TABLE clock_records (
    name TEXT NOT NULL PRIMARY KEY,
    -- the last reading that was trusted: the time of day, in which start of the machine, and how long after it
    trusted_at BIGINT NOT NULL,
    boot TEXT NOT NULL,
    uptime_millis BIGINT NOT NULL,
    -- what the clock said last since it has leapt; NULL: it has not
    doubted_at BIGINT,
    -- rows that are dated up to here may carry the time of a clock that was wrong
    dated_until BIGINT NOT NULL
);
