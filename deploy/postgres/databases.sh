#!/bin/sh
# First start of the postgres service: a role and a database per organisation, from the secrets of the same names.
# Each role may connect to its own database and to no other.
set -eu
for name in ${HEFU_DATABASES:?}; do
    PASSWORD=$(cat "/run/secrets/${name}_database_password")
    export PASSWORD # the environment, because arguments are shown by ps
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --set=name="$name" \
        --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv password PASSWORD
CREATE ROLE :"name" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
SQL
