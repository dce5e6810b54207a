#!/usr/bin/env bash
# Fetches the JARs of the Kafka broker that the tests use, once a machine, and prints the folder they are in.
set -euo pipefail
conf=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
list=$conf/kafka-jars.txt
venv=$conf/../../.venv
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lakehouse/kafka-4.1.0

jars() { awk '{split($1, c, ":"); print $1, c[1] "_" c[2] "-" c[3] ".jar", $2}' "$list"; }
bad_jars() {
    jars | awk -v dir="$cache" '{print $3 "  " dir "/" $2}' | sha256sum -c --quiet 2>/dev/null | sed 's/: FAILED.*//; s|.*/||' || true
}

fetch() {
    local bad=$1 name ivy=$cache/ivy
    rm -rf "$ivy" # Ivy's own cache may hold what was damaged
    mkdir -p "$ivy"
    : >"$ivy/nothing.py"
    echo "kafka.sh: fetching $(wc -w <<<"$bad") JARs, about a minute" >&2
    env -u SPARK_CONF_DIR -u PYTHONPATH -u PYSPARK_SUBMIT_ARGS SPARK_HOME="$(echo "$venv"/lib/python3.*/site-packages/pyspark)" \
        PYSPARK_PYTHON="$venv/bin/python" "$venv/bin/spark-submit" --conf spark.jars.ivySettings="$conf/ivysettings.xml" \
        --conf spark.jars.ivy="$ivy" --packages "$(jars | grep -F "$bad" | cut -d' ' -f1 | paste -sd,)" \
        "$ivy/nothing.py" >"$cache/fetch.log" 2>&1 || true # what is missing is seen below
    for name in $bad; do [ ! -e "$ivy/jars/$name" ] || mv -f "$ivy/jars/$name" "$cache/$name"; done
    rm -rf "$ivy"
}

if [ -n "$(bad_jars)" ]; then
    [ -x "$venv/bin/spark-submit" ] || { echo "kafka.sh: there is no .venv yet: make setup" >&2; exit 2; }
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9
    for _ in 1 2 3; do
        bad=$(bad_jars)
        [ -z "$bad" ] || fetch "$bad"
    done
    bad=$(bad_jars)
    [ -z "$bad" ] || { echo "kafka.sh: $(head -n1 <<<"$bad") is missing or not the sha256 of $list, and was fetched 3 times (more in $cache/fetch.log)" >&2; exit 1; }
fi
echo "$cache"
