-- What is approved and what is allowed is bound to what was shown.

-- The version of an application that the operator approved: people of other organizations get no more. What is approved by
-- now is what is registered by now.
ALTER TABLE applications ADD COLUMN approved_name TEXT;
ALTER TABLE applications ADD COLUMN approved_scopes TEXT;
UPDATE applications SET approved_name = name, approved_scopes = scopes WHERE approval = 'approved';
CREATE TABLE approved_redirect_uris (
    application_id TEXT NOT NULL REFERENCES applications (id),
    uri TEXT NOT NULL,
    PRIMARY KEY (application_id, uri)
);
INSERT INTO approved_redirect_uris (application_id, uri)
SELECT application_redirect_uris.application_id, application_redirect_uris.uri
FROM application_redirect_uris
INNER JOIN applications ON applications.id = application_redirect_uris.application_id
WHERE applications.approval = 'approved';

-- The name under which a person allowed an application, and since when; for what was allowed until now, its name by now. Where
-- it sent them is known from the authorizations of the consent.
ALTER TABLE consents ADD COLUMN application_name TEXT NOT NULL DEFAULT '';
ALTER TABLE consents ADD COLUMN named_at BIGINT NOT NULL DEFAULT 0;
UPDATE consents SET application_name = (SELECT applications.name FROM applications WHERE applications.id = consents.application_id);
