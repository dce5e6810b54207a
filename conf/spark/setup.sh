#!/usr/bin/env bash
# Makes .venv: packages by hash, JARs by sha256, the JVM's class archive. Does what is missing; killed anywhere, the
# same command finishes it. LAKEHOUSE_ARCHIVE=0 leaves the archive out: set-up ends sooner, every job starts later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
conf=conf/spark
lock=conf/requirements.lock
venv=$PWD/.venv
made=$venv/spark # what set-up made beside the packages: stamps, archive, JVM flags
log=$venv/setup.log
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lakehouse/jars

say() { echo "setup: $*"; }
die() { echo "setup: $1" >&2; exit "${2:-1}"; }
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }
stamped() { [ "$(cat "$made/$1" 2>/dev/null)" = "$2" ]; }
why() { { grep -m1 -oE "$1" "$log" || tail -n1 "$log"; } | cut -c1-200; }

# What identifies the Java that Spark will start; where Spark 4.1 cannot use it, what was found and the remedy.
java_identity() {
    local install='apt-get install openjdk-17-jre-headless' java release text major
    java=$(command -v "${JAVA_HOME:+$JAVA_HOME/bin/}java" || true)
    [ -n "$java" ] || die "found no Java${JAVA_HOME:+ in JAVA_HOME=$JAVA_HOME}, Spark needs 17 or 21: $install${JAVA_HOME:+ && unset JAVA_HOME}" 2
    java=$(readlink -f "$java")
    release=${java%/bin/java}/release # spares a JVM start; a wrapper script has none beside it
    text=$(grep -E '^JAVA_VERSION=' "$release" 2>/dev/null || "$java" -version 2>&1 | grep version || true)
    major=$(sed -nE '1s/^[^"]*"(1\.)?([0-9]+).*/\2/p' <<<"$text")
    case $major in
        17 | 21) echo "$java $text" ;;
        *) die "found Java ${major:-of unknown version} ($java), Spark needs 17 or 21: $install && export JAVA_HOME=\$(echo /usr/lib/jvm/java-17-openjdk-*)" 2 ;;
    esac
}

find_python() {
    local python found=
    for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            found=${found:-$("$python" -V 2>/dev/null || true)}
        elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            found="$("$python" -V) without venv"
        else
            command -v "$python"
            return
        fi
    done
    die "found ${found:-no Python}, 3.11 or newer is needed: apt-get install python3 python3-venv" 2
}

pip_install() {
    PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -I -m pip install "$@" >>"$log" 2>&1 ||
        die "pip: $(why '^ERROR: .*') (more in $log); the same command tries again"
}

install_packages() {
    local python stamp
    # The place counts: the scripts in a virtual environment name it.
    stamp="$venv $(digest $lock)"
    stamped packages "$stamp" && return
    python=$(find_python)
    say "Python packages into .venv with $("$python" -V), about 2 minutes"
    # A pip killed midway leaves half a package that the next pip takes for a whole one: begin again.
    rm -rf "$venv"
    "$python" -m venv "$venv"
    mkdir "$made"
    # setuptools first, from the lock: pyspark comes as source, and pip would fetch its build tools unhashed.
    awk '/^setuptools==/ {on = 1} on; on && !/\\$/ {exit}' $lock >"$made/setuptools.lock"
    pip_install --require-hashes -r "$made/setuptools.lock"
    pip_install --require-hashes --no-deps --no-build-isolation -r $lock
    echo "$stamp" >"$made/packages"
}

install_project() {
    local stamp
    stamp=$(digest pyproject.toml)
    stamped project "$stamp" && return
    # -I: what an earlier try, killed midway, has left cannot be uninstalled.
    pip_install -I --no-deps --no-build-isolation -e .
    echo "$stamp" >"$made/project"
}

spark_home() { echo "$venv"/lib/python3.*/site-packages/pyspark; }
# Without what the user has set for a Spark of their own: each of these would change the class path or the settings.
spark_submit() {
    env -u SPARK_CONF_DIR -u SPARK_ENV_LOADED -u HADOOP_CONF_DIR -u YARN_CONF_DIR -u MASTER -u PYSPARK_DRIVER_PYTHON \
        -u PYTHONPATH -u PYSPARK_SUBMIT_ARGS SPARK_HOME="$(spark_home)" PYSPARK_PYTHON="$venv/bin/python" \
        "$venv/bin/spark-submit" "$@" >>"$log" 2>&1
}

# jars.txt as `coordinate name sha256`, and the names of a folder's JARs that are missing or not what it says.
jars() { awk 'NF == 2 {split($1, c, ":"); print $1, c[1] "_" c[2] "-" c[3] ".jar", $2}' $conf/jars.txt; }
bad_jars() {
    jars | awk -v dir="$1" '{print $3 "  " dir "/" $2}' | sha256sum -c --quiet 2>/dev/null | sed 's/: FAILED.*//; s|.*/||' || true
}

# Fetches what the cache lacks. Clones share the cache, so this runs under its lock.
fetch_jars() {
    local bad name try ivy=$cache/ivy
    for try in 1 2 3; do
        bad=$(bad_jars "$cache")
        [ -n "$bad" ] || break
        # A bad file is fetched again, and not from Ivy's own cache; where one is just missing, Ivy goes on with what it has.
        for name in $bad; do [ ! -e "$cache/$name" ] || rm -rf "$ivy" "${cache:?}/$name"; done
        say "JARs to fetch from Maven Central: $(wc -w <<<"$bad")"
        mkdir -p "$ivy"
        : >"$ivy/nothing.py"
        if spark_submit --conf spark.jars.ivySettings=$conf/ivysettings.xml --conf spark.jars.ivy="$ivy" \
            --packages "$(jars | grep -F "$bad" | cut -d' ' -f1 | paste -sd,)" "$ivy/nothing.py"; then
            for name in $bad; do mv -f "$ivy/jars/$name" "$cache/$name"; done
        elif [ "$try" = 3 ]; then
            die "Ivy: $(why 'Server access error.*|unresolved dependency: [^]]*') (more in $log); the same command tries again"
        fi
    done
    bad=$(bad_jars "$cache")
    [ -z "$bad" ] || die "$(head -n1 <<<"$bad"): not the sha256 of $conf/jars.txt, and fetched 3 times"
    rm -rf "$ivy"
}

install_jars() {
    local name here
    here=$(spark_home)/jars
    # What an earlier jars.txt put here and this one does not name: two versions of Delta would share the class path.
    for name in $(grep -vxFf <(jars | cut -d' ' -f2) "$made/jars" 2>/dev/null || true); do rm -f "$here/$name" "$made/archive"; done
    jars | cut -d' ' -f2 >"$made/jars"
    rm -f "$here"/.*.part
    [ -n "$(bad_jars "$here")" ] || return 0
    mkdir -p "$cache"
    exec 8>"$cache/.lock"
    flock 8
    fetch_jars
    rm -f "$made/archive" # it holds each JAR's time, and is ignored where one has changed
    for name in $(bad_jars "$here"); do
        cp "$cache/$name" "$here/.$name.part"
        mv -f "$here/.$name.part" "$here/$name"
    done
    exec 8>&-
    [ -z "$(bad_jars "$here")" ] || die "$(bad_jars "$here" | head -n1): damaged while it was copied into $here"
}

archive_size() { stat -c %s "$made/lakehouse.jsa" 2>/dev/null || true; }

# Lets a small job run once and keeps the classes it loaded, parsed and verified, for every later start. The flags go to
# jvm.options, which spark-submit.sh and lakehouse.session read; jvm.short holds those that help only jobs of seconds.
make_archive() {
    local stamp flags
    stamp="$1 $(digest $lock $conf/jars.txt $conf/train_archive.py $conf/setup.sh) ${LAKEHOUSE_ARCHIVE:-1}"
    stamped archive "$stamp $(archive_size)" && return
    rm -f "$made"/*.jsa "$made"/jvm.*
    flags="\"-Dlog4j2.configurationFile=file:${PWD// /%20}/$conf/log4j2.properties\""
    # One collector thread does on a small machine; G1's helpers cost more CPU there than they save.
    [ "$(nproc)" -gt 4 ] || flags+=" -XX:+UseSerialGC"
    # Four times Java's thresholds for its costly compiler: a job of seconds ends before it pays, hot loops still get it.
    flags+=" -XX:Tier4InvocationThreshold=20000 -XX:Tier4MinInvocationThreshold=2400 -XX:Tier4CompileThreshold=60000 -XX:Tier4BackEdgeThreshold=160000"
    # Java interprets methods of more than 8,000 bytes for ever: the code of a stage with a hundred rules is one.
    flags+=" -XX:-DontCompileHugeMethods"
    if [ "${LAKEHOUSE_ARCHIVE:-1}" != 0 ]; then
        say "class archive, so that jobs start sooner, about 40 seconds"
        if SPARK_SUBMIT_OPTS="$flags \"-XX:ArchiveClassesAtExit=$made/new.jsa\" -Xlog:disable" spark_submit $conf/train_archive.py &&
            mv "$made/new.jsa" "$made/lakehouse.jsa"; then
            # off: an archive that fits no longer (another Java, another class path) is to be left out in silence
            flags="\"-XX:SharedArchiveFile=$made/lakehouse.jsa\" -Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off $flags"
        else
            say "no class archive ($log says why): jobs run, and start later"
        fi
    fi
    echo "-XX:TieredStopAtLevel=1" >"$made/jvm.short"
    echo "$flags" >"$made/jvm.new"
    mv "$made/jvm.new" "$made/jvm.options"
    echo "$stamp $(archive_size)" >"$made/archive"
}

is_complete() { stamped complete "$1 $(archive_size)" && [ -z "$(bad_jars "$(spark_home)/jars")" ]; }

java=$(java_identity)
want="$venv $java ${LAKEHOUSE_ARCHIVE:-1} $(digest $lock $conf/*.* pyproject.toml)"
! is_complete "$want" || exit 0
exec 9<$conf/setup.sh # the lock is on this file: .venv comes and goes
flock -n 9 || { say "waiting for another set-up"; flock 9; }
! is_complete "$want" || exit 0
rm -f "$made/complete"
[ ! -e "$log" ] || : >"$log"
install_packages
install_project
install_jars
make_archive "$java"
echo "$want $(archive_size)" >"$made/complete"
say "done in $SECONDS s"
