-- A resource is answered letter by letter as the operator wrote it, and found however a client writes it.

-- Until now it was stored as it is compared: scheme and host in lower case, and a bare host without its slash.
ALTER TABLE resources ADD COLUMN uri_folded TEXT NOT NULL DEFAULT '';
UPDATE resources SET uri_folded = uri;
-- A resource names one server, however it is written.
CREATE UNIQUE INDEX resources_by_folded_uri ON resources (uri_folded);
