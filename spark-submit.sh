#!/usr/bin/env bash
# spark-submit with this project's environment, from any folder and with nothing activated:
#   ./spark-submit.sh [spark-submit's arguments] jobs/x.py [the job's arguments]
# A job of seconds gets JVM flags that help it and would slow down one of minutes: in a lake of up to 64 MB by itself,
# else with LAKEHOUSE_SHORT_JOB=1, never with LAKEHOUSE_SHORT_JOB=0.
set -euo pipefail
root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
venv=$root/.venv
[ -f "$venv/spark/complete" ] || { echo "spark-submit.sh: no environment in $root yet: make setup" >&2; exit 2; }

# spark-submit's own arguments end at the script: which master do they name, which files do they send along?
master=${MASTER:-local[*]} # the variable that spark-submit reads
py_files=
options=()
while [ $# -gt 0 ]; do
    case $1 in
        -v | --verbose | -h | --help | --version | --supervise | --usage-error | --*=*) option=$1 taken=1 ;;
        -*) option=$1=${2:-} taken=$(($# > 1 ? 2 : 1)) ;;
        *) break ;;
    esac
    case $option in
        --master=*) master=${option#*=} ;;
        --conf=spark.master=* | -c=spark.master=*) master=${option#*=*=} ;;
        --conf=spark.submit.pyFiles=* | -c=spark.submit.pyFiles=*) py_files=${option#*=*=} ;;
    esac
    case $option in
        --py-files=*) py_files=${option#*=} ;;
        *) options+=("${@:1:taken}") ;;
    esac
    shift "$taken"
done

# A project's job whose lake holds little: what it costs is its start. A lake too large to be measured at once is not.
is_short() {
    local project lake
    [[ $1 == *jobs/*.py ]] && project=$(cd "$(dirname "$1")/.." && pwd) && [ -f "$project/conf/$(basename "$1" .py).yml" ] || return
    lake=${LAKE:-$project/lake}
    [[ $lake != *://* ]] && { [ ! -e "$lake" ] || [ "$(timeout 0.5 du -sk "$lake" | cut -f1 || echo 65537)" -le 65536 ]; }
}

export PATH=$venv/bin:$PATH
export PYSPARK_DRIVER_PYTHON=$venv/bin/python
unset PYSPARK_DRIVER_PYTHON_OPTS
SPARK_HOME=$(echo "$venv"/lib/python3.*/site-packages/pyspark)
export SPARK_HOME # this environment's, whatever other Spark the machine has
remote=
if [[ $master == local || $master == "local["* ]]; then
    export PYSPARK_PYTHON=$venv/bin/python
    # Spark's default of 1 GB is little for a driver that is its own executor
    export SPARK_DRIVER_MEMORY=${SPARK_DRIVER_MEMORY:-2g}
else
    remote=1
    export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$venv/bin/python} # the workers may have theirs elsewhere
    (cd "$root/lib" && python -m zipfile -c "$venv/spark/$$.zip" lakehouse)
    mv "$venv/spark/$$.zip" "$venv/spark/lakehouse.zip" # whole, also for a job started at the same time
    py_files+=${py_files:+,}$venv/spark/lakehouse.zip
fi
if [ -z "${SPARK_SUBMIT_OPTS:-}" ]; then
    SPARK_SUBMIT_OPTS=$(cat "$venv/spark/jvm.options")
    short=${LAKEHOUSE_SHORT_JOB:-}
    if [ -z "$short" ] && [ $# -gt 0 ] && [ -z "$remote" ] && is_short "$1"; then short=1; fi
    [ "${short:-0}" = 0 ] || SPARK_SUBMIT_OPTS+=" $(cat "$venv/spark/jvm.short")"
    # the JVM refuses to start with two collectors: the user's own goes first
    [[ ${options[*]} != *-XX:+Use*GC* ]] || SPARK_SUBMIT_OPTS=${SPARK_SUBMIT_OPTS/-XX:+UseSerialGC/}
    export SPARK_SUBMIT_OPTS
fi
exec "$venv/bin/spark-submit" ${py_files:+--py-files "$py_files"} "${options[@]}" "$@"
