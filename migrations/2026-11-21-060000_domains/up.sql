-- Domains that organizations prove by a TXT record, several each, and each proven by one organization at a time.

-- Until now only who runs the server could say that a domain is verified. Where that was said twice, the first keeps it.
DELETE FROM domains WHERE EXISTS (
    SELECT 1 FROM domains AS earlier
    WHERE earlier.name = domains.name AND earlier.verified_at IS NOT NULL AND domains.verified_at IS NOT NULL
        AND (earlier.verified_at < domains.verified_at OR (earlier.verified_at = domains.verified_at AND earlier.id < domains.id))
);

-- What the record has to hold. NULL: who runs the server vouches for the domain, and nothing is looked up.
ALTER TABLE domains ADD COLUMN verification_token TEXT;
-- The domain's own switch. NULL: as [sandbox] include_subdomains says.
ALTER TABLE domains ADD COLUMN include_subdomains BOOLEAN;
ALTER TABLE domains ADD COLUMN lost_at BIGINT;
ALTER TABLE domains ADD COLUMN checked_at BIGINT;
ALTER TABLE domains ADD COLUMN last_finding TEXT;
-- Scheduled look-ups in a row that definitely did not find the record.
ALTER TABLE domains ADD COLUMN failed_checks BIGINT NOT NULL DEFAULT 0;
-- NULL: only when somebody asks.
ALTER TABLE domains ADD COLUMN next_check_at BIGINT;

-- Who proves a domain first has it.
CREATE UNIQUE INDEX domains_verified ON domains (name) WHERE verified_at IS NOT NULL;
CREATE INDEX domains_by_next_check ON domains (next_check_at) WHERE next_check_at IS NOT NULL;
