-- Counts the rows of each table of the history and sums up a hash of each row, so that neither the order of the rows nor
-- the tier of the database matters: equal tables give equal lines, with any release of PostgreSQL from 15 on.
--
--     .venv/bin/poller psql < deploy/checksums.sql

\set QUIET on
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET bytea_output = 'hex';
SET search_path = pg_catalog;

SELECT string_agg(
    format(
        $$SELECT %L COLLATE "C" AS "table", count(*) AS "rows",
            sum(('x' || left(encode(sha256(convert_to(t::text, 'UTF8')), 'hex'), 15))::bit(60)::bigint) AS checksum
        FROM poller.%I AS t$$,
        relname,
        relname
    ),
    ' UNION ALL '
    ORDER BY relname
) || ' ORDER BY "table"'
FROM pg_class
WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p')
\gexec
