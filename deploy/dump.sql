-- Writes the history of a plain PostgreSQL, as the embedded one is, into files here, to be loaded by deploy/load.sql. All
-- of it is as of one instant, so the daemon may go on recording; what comes later is in its spool (`poller replay`).
--
--     .venv/bin/poller psql < deploy/dump.sql
--
-- history.sql  the rows, by the pg_dump that is found first; `poller psql` finds that of the embedded PostgreSQL
-- months.sql   makes the partitions that they need, where there are such
-- before.txt   the checksum of each table

\set ON_ERROR_STOP on
\set QUIET on
\! umask 077; rm -f history.sql months.sql before.txt; touch history.sql months.sql before.txt
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot, date_trunc('second', now()) AS now
\gset
\setenv SNAPSHOT :snapshot

\o months.sql
\pset format unaligned
\pset tuples_only on
-- Replies are divided into days, all else into months.
SELECT format('SELECT poller.ensure_partitions(%L);', instant AT TIME ZONE 'UTC')
FROM (
    SELECT generate_series(date_trunc('month', first), last, INTERVAL '1 month') AS instant
    FROM (SELECT min(time) AT TIME ZONE 'UTC' AS first, max(time) AT TIME ZONE 'UTC' AS last FROM poller.polls) AS polled
    UNION
    SELECT generate_series(date_trunc('day', first), last, INTERVAL '1 day')
    FROM (SELECT min(time) AT TIME ZONE 'UTC' AS first, max(time) AT TIME ZONE 'UTC' AS last FROM poller.raw_payloads) AS kept
) AS parts
ORDER BY instant;
\pset tuples_only off
\pset format aligned

\o before.txt
\i deploy/checksums.sql
\o

-- Partitions hold the rows, in a schema of their own; they are loaded through their table, which may be a hypertable.
\! pg_dump --snapshot="$SNAPSHOT" --data-only --load-via-partition-root --schema=poller --schema=poller_parts --exclude-table=poller.alembic_version --file=history.sql
\if :SHELL_ERROR
    \warn 'pg_dump failed: the dump is not whole'
    \! rm -f history.sql
    SELECT 1 / 0 AS failed;
\endif
COMMIT;
\echo 'the history as of' :now 'is in history.sql'
