#!/bin/sh
# Make the secrets that docker-compose.yml names, each once; what exists is left alone. Run as root: the files are
# handed to user 10001, as whom the containers run.
set -eu
umask 077
folder=$(dirname "$0")/secrets
mkdir -p "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
once() { [ -e "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }

once postgres_password "$(random)"
once prefect_auth "operator:$(random)"
for name in coordinator prefect institution bank regulator operator exchange auditor; do
    once "${name}_database_password" "$(random)"
done
for name in coordinator institution bank regulator operator exchange auditor; do
    once "${name}_passphrase" "$(random)"
done
once prefect_database_url \
    "postgresql+asyncpg://prefect:$(cat "$folder/prefect_database_password")@postgres:5432/prefect"

chmod 0700 "$folder"
chmod 0400 "$folder"/*
if [ "$(id -u)" -eq 0 ]; then
    chown -R 10001:10001 "$folder"
else
    echo "now hand them over: chown -R 10001:10001 $folder" >&2
fi
