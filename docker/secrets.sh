#!/bin/sh
# Writes docker/.env, which compose reads: a password of its own for every user, drawn once and never again.
set -eu
file=$(dirname "$0")/.env
[ ! -e "$file" ] || exit 0
umask 077
draw() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
{
    echo "MINIO_ROOT_USER=root-$(draw | cut -c1-8)"
    for name in MINIO_ROOT BRONZE SILVER GOLD READER MAINTAINER POSTGRES; do echo "${name}_PASSWORD=$(draw)"; done
    echo "SPARK_AUTH_SECRET=$(draw)"
    echo "JUPYTER_TOKEN=$(draw)"
} >"$file.part"
mv "$file.part" "$file"
echo "docker/.env: passwords drawn"
