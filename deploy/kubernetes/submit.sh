#!/bin/sh
# The same run without an operator: spark-submit asks Kubernetes for the driver's pod, and waits for its end.
#   K8S=https://host:6443 IMAGE=registry.example/lakehouse-spark:0.1.0 LAKE=s3a://shop-lake deploy/kubernetes/submit.sh silver_orders
# The account is the layer that stands before the job's first underscore (cluster.yaml).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
job=$1
PATH=$root/.venv/bin:$PATH
SPARK_HOME=$(python -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
export SPARK_HOME
exec spark-submit \
    --master "k8s://$K8S" --deploy-mode cluster --name "$(echo "$job" | tr _ -)" \
    --conf spark.kubernetes.namespace=lakehouse \
    --conf spark.kubernetes.container.image="$IMAGE" \
    --conf spark.kubernetes.authenticate.driver.serviceAccountName="${job%%_*}" \
    --conf spark.kubernetes.authenticate.executor.serviceAccountName="${job%%_*}" \
    --conf spark.kubernetes.driver.podTemplateFile="$root/deploy/kubernetes/pod.yaml" \
    --conf spark.kubernetes.executor.podTemplateFile="$root/deploy/kubernetes/pod.yaml" \
    --conf spark.kubernetes.driverEnv.LAKE="$LAKE" \
    --conf spark.kubernetes.driverEnv.AWS_REGION="${AWS_REGION:-eu-west-1}" \
    --conf spark.executorEnv.AWS_REGION="${AWS_REGION:-eu-west-1}" \
    --conf spark.executor.instances=2 --conf spark.executor.cores=2 --conf spark.executor.memory=4g \
    --conf spark.driver.memory=2g \
    --conf spark.authenticate=true --conf spark.network.crypto.enabled=true \
    --conf spark.hadoop.fs.s3a.aws.credentials.provider=software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider \
    "local:///opt/lakehouse/jobs/$job.py"
