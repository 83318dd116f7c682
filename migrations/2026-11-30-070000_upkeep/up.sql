-- What was done to the database as a whole, and when last: 'backup' (a copy was made of it), 'snapshot' (this is such a copy,
-- as of then), 'restore' (it was made from one).
CREATE TABLE upkeep (
    name TEXT NOT NULL PRIMARY KEY,
    -- unix milliseconds
    at BIGINT NOT NULL
);
