"""What `cold.py` compares with: the job's work as a plain PySpark script, for spark-submit with default settings."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from delta.tables import DeltaTable
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

SCHEMA = "order_id string, customer_id string, amount string, ordered_at string"


def main(landing: str, lake: str) -> None:
    """Reads a day's CSV, types it, sets broken rows aside, upserts the newest row per key, notes the run."""
    spark = (
        SparkSession.builder.appName("plain")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )
    raw = spark.read.csv(landing, schema=SCHEMA, header=True)
    typed = raw.selectExpr(
        "try_cast(order_id as bigint) order_id",
        "try_cast(customer_id as int) customer_id",
        "try_cast(amount as decimal(12,2)) amount",
        "try_cast(ordered_at as timestamp) ordered_at",
        "to_json(struct(*)) as raw",
    )
    is_valid = F.expr("coalesce(order_id is not null and amount >= 0 and ordered_at is not null, false)")
    broken = typed.where(~is_valid).select("raw")
    broken.write.format("delta").mode("append").save(f"{lake}/silver/broken")
    newest = F.row_number().over(Window.partitionBy("order_id").orderBy(F.desc("ordered_at")))
    valid = typed.where(is_valid).drop("raw").withColumn("place", newest).where("place = 1").drop("place")
    merge = DeltaTable.forPath(spark, f"{lake}/silver/orders").alias("target")
    merge = merge.merge(valid.alias("source"), "target.order_id = source.order_id")
    merge.whenMatchedUpdateAll("source.ordered_at >= target.ordered_at").whenNotMatchedInsertAll().execute()
    row = spark.createDataFrame([("orders", datetime.now(UTC), raw.count())], "job string, at timestamp, rows long")
    row.write.format("delta").mode("append").save(f"{lake}/_plain_runs")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
