#!/bin/sh
# Runs what it is given. Kubernetes gives `driver` or `executor` and the rest in SPARK_* variables: the contract of Spark's own
# images, which its PyPI package comes without.
set -eu
role=${1:-}
case $role in
    driver)
        shift
        # jobs import the library from its place in the image, and get set-up's flags for the JVM
        exec "$(dirname "$0")/../spark-submit.sh" --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" --deploy-mode client "$@"
        ;;
    executor)
        # SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...: one flag each, in the order of their numbers
        set --
        number=0
        while eval "[ -n \"\${SPARK_JAVA_OPT_$number:-}\" ]"; do
            eval "set -- \"\$@\" \"\$SPARK_JAVA_OPT_$number\""
            number=$((number + 1))
        done
        exec java "$@" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "${SPARK_CLASSPATH:-}:/opt/spark/conf:/opt/spark/jars/*" \
            org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
            --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
            --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
            --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
        ;;
    *) exec "$@" ;;
esac
