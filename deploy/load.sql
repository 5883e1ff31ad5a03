-- Loads what deploy/dump.sql has written into a schema that `poller migrate` of the same release has built, as its owner,
-- and compares the checksum of each table. All of it is loaded, or nothing.
--
--     DATABASE_URL=$OWNER_URL .venv/bin/poller psql < deploy/load.sql

\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
\o /dev/null
\i months.sql
-- What these would queue for the rollups is among the rows.
ALTER TABLE poller.schedules DISABLE TRIGGER USER;
ALTER TABLE poller.contracts DISABLE TRIGGER USER;
\i history.sql
ALTER TABLE poller.schedules ENABLE TRIGGER USER;
ALTER TABLE poller.contracts ENABLE TRIGGER USER;
\o after.txt
\i deploy/checksums.sql
\o
COMMIT;
ANALYZE;
\! diff before.txt after.txt && echo 'every table holds the same rows as before'
