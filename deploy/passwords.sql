-- The passwords of the roles that deploy/roles.sql made, from the environment: compose.yaml runs it after that.
--
--     OWNER_PASSWORD=… WRITER_PASSWORD=… READER_PASSWORD=… psql "$ADMINISTRATOR_URL" \
--         -v owner=poller_owner -v writer=poller_writer -v reader=poller_reader -f deploy/passwords.sql

\set ON_ERROR_STOP on
\set QUIET on
\getenv owner_password OWNER_PASSWORD
\getenv writer_password WRITER_PASSWORD
\getenv reader_password READER_PASSWORD

BEGIN;
-- No password stands in the server's log, whatever that is told to log.
SET LOCAL log_statement = 'none';
SET LOCAL log_min_error_statement = 'panic';
SET LOCAL log_min_duration_statement = -1;
ALTER ROLE :"owner" PASSWORD :'owner_password';
ALTER ROLE :"writer" PASSWORD :'writer_password';
ALTER ROLE :"reader" PASSWORD :'reader_password';
COMMIT;
