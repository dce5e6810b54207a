#!/usr/bin/env bash
# Prints where the browser is in which the tests look at pages, and installs Debian's where there is none and it can.
set -euo pipefail

found() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        command -v "$name" && return
    done
    return 1
}

if ! found; then
    remedy="apt-get install chromium (as root), or put Chromium or Chrome on the PATH"
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
        { echo "chromium.sh: a browser is needed to look at pages: $remedy" >&2; exit 2; }
    echo "chromium.sh: installing Chromium, about a minute" >&2
    log=$(mktemp)
    # the lists of a fresh machine are empty, those of an old one name packages that are gone
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1 ||
        { echo "chromium.sh: the installation failed: $(tail -n1 "$log") (all of it: $log); $remedy" >&2; exit 1; }
    rm -f "$log"
    found
fi
