-- Roles with the least rights, in the database of the history. Run it before the first `poller migrate`, and again
-- after each: what is right already stays as it is.
--
--     psql "$ADMINISTRATOR_URL" -v owner=poller_owner -v writer=poller_writer -v reader=poller_reader \
--         -v dedicated=yes -f deploy/roles.sql
--
-- owner   makes and upgrades the schema: the role of database.migration_url
-- writer  records: the role of database.url. It reads everything, inserts what it records and updates polls; other rows
--         change only by functions of the schema, each of which makes one exact change with the owner's rights
-- reader  reads tables and views: for analysts and dashboards. `GRANT poller_reader TO ann` makes ann one
--
-- Names belong to the whole server: several databases may share the roles or have roles of their own. Roles that are
-- missing are made with LOGIN and no password, so that nobody can use them yet: `\password poller_writer` sets one.
-- An existing installation names the role that owns the schema now as its owner.
--
-- With dedicated=yes nobody else uses this database: the right of everybody (PUBLIC) to make temporary tables in it, and
-- tables in its schema public, ends. Without it others keep that right, and with them the writer and the reader.
--
-- It is one transaction, for a superuser; or for the owner of the database, if that may make roles.

\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
SET LOCAL search_path = pg_catalog;

\if :{?owner}
\else
DO $$ BEGIN RAISE 'name the roles: -v owner=... -v writer=... -v reader=...'; END $$;
\endif
\if :{?writer}
\else
DO $$ BEGIN RAISE 'name the roles: -v owner=... -v writer=... -v reader=...'; END $$;
\endif
\if :{?reader}
\else
DO $$ BEGIN RAISE 'name the roles: -v owner=... -v writer=... -v reader=...'; END $$;
\endif

-- The roles.

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY[:'owner', :'writer', :'reader']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- A role that is something else too would have more rights than these.
SELECT format('DO %L', format('BEGIN RAISE EXCEPTION ''%%'', %L; END', reason))
FROM (
    SELECT format('role %s may do everything, or make roles or databases: it cannot be the writer or the reader', rolname)
    FROM pg_roles
    WHERE rolname IN (:'writer', :'reader') AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)
    UNION ALL
    SELECT format('role %s is a member of role %s and has its rights', member, role)
    FROM (VALUES (:'writer', :'owner'), (:'reader', :'owner'), (:'reader', :'writer')) AS pair (member, role)
    WHERE pg_has_role(member, role, 'MEMBER')
    UNION ALL
    SELECT format('schema %s belongs to role %s: name that as the owner', nspname, pg_get_userbyid(nspowner))
    FROM pg_namespace
    WHERE nspname IN ('poller', 'poller_parts') AND pg_get_userbyid(nspowner) <> :'owner'
) AS found (reason)
\gexec

-- Who made a role may grant it, but has not got its rights.
SELECT format('GRANT %I TO CURRENT_USER', :'owner') WHERE NOT pg_has_role(:'owner', 'USAGE')
\gexec

-- The database.

GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"DBNAME" TO :"owner";
REVOKE ALL ON DATABASE :"DBNAME" FROM :"writer", :"reader";
GRANT CONNECT ON DATABASE :"DBNAME" TO :"writer", :"reader";
\if :{?dedicated}
REVOKE CREATE, TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
SELECT 'REVOKE CREATE ON SCHEMA public FROM PUBLIC' WHERE to_regnamespace('public') IS NOT NULL
\gexec
\endif

-- The schema. Its partitions, in schema poller_parts, are reached through their tables: nobody needs rights on them.

CREATE SCHEMA IF NOT EXISTS poller AUTHORIZATION :"owner";
REVOKE ALL ON SCHEMA poller FROM PUBLIC, :"writer", :"reader";
GRANT USAGE ON SCHEMA poller TO :"writer", :"reader";

-- First all that an earlier release may have needed is taken back.
REVOKE ALL ON ALL TABLES IN SCHEMA poller FROM :"writer", :"reader";
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA poller FROM :"writer", :"reader";
GRANT SELECT ON ALL TABLES IN SCHEMA poller TO :"writer", :"reader";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA poller GRANT SELECT ON TABLES TO :"writer", :"reader";

SELECT format('GRANT INSERT ON poller.%I TO %I', recorded, :'writer')
FROM unnest(ARRAY[
    'accounts', 'polls', 'account_totals', 'asset_balances', 'positions', 'raw_payloads', 'rejected_payloads',
    'rollup_queue'
]) AS recorded
WHERE to_regclass('poller.' || recorded) IS NOT NULL
\gexec

SELECT format('GRANT UPDATE ON poller.polls TO %I', :'writer') WHERE to_regclass('poller.polls') IS NOT NULL
\gexec

-- Every function of the schema that runs with its owner's rights is there for the writer.
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', oid::regprocedure, :'writer')
FROM pg_proc
WHERE pronamespace = 'poller'::regnamespace AND prosecdef
\gexec

-- Settings. The daemon sets its own where it is connected to the server itself; through a pooler it has these.

ALTER ROLE :"writer" IN DATABASE :"DBNAME" SET search_path = pg_catalog;
ALTER ROLE :"writer" IN DATABASE :"DBNAME" SET statement_timeout = '10s';
ALTER ROLE :"writer" IN DATABASE :"DBNAME" SET lock_timeout = '3s';
ALTER ROLE :"writer" IN DATABASE :"DBNAME" SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE :"reader" IN DATABASE :"DBNAME" SET search_path = poller, public;

COMMIT;
