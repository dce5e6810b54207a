"""Runs once in set-up: a small job whose classes the JVM dumps at its exit (-XX:ArchiveClassesAtExit)."""

import tempfile
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F


def session(folder: Path) -> SparkSession:
    return (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.databricks.delta.snapshotPartitions", "1")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )


def read_files(spark: SparkSession, folder: Path) -> DataFrame:
    (folder / "a.csv").write_text("id,n,t,broken\n1,2,2020-01-01,\n2,x,,\n")
    (folder / "a.json").write_text('{"id": 3, "n": 4, "t": "2020-01-01"}\n{"id": \n')
    reader = spark.read.schema("id long, n int, t date, broken string").option("columnNameOfCorruptRecord", "broken")
    return reader.csv(str(folder / "a.csv"), header=True).union(reader.json(str(folder / "a.json"))).drop("broken")


def upsert(place: str, rows: DataFrame) -> None:
    newest = F.row_number().over(Window.partitionBy("id").orderBy(F.desc("n")))
    changes = rows.withColumn("rank", newest).where("rank = 1").drop("rank").alias("source")
    merge = DeltaTable.forPath(rows.sparkSession, place).alias("target").merge(changes, "target.id <=> source.id")
    merge.whenMatchedUpdateAll("source.n >= target.n").whenNotMatchedInsertAll().execute()


def stream(spark: SparkSession, source: str, target: str, checkpoint: str) -> None:
    writer = spark.readStream.format("delta").load(source).writeStream.option("checkpointLocation", checkpoint)
    query = writer.trigger(availableNow=True).foreachBatch(lambda rows, _: upsert(target, rows)).start()
    query.awaitTermination()


def main(folder: Path) -> None:
    spark = session(folder)
    source, target = str(folder / "source"), str(folder / "target")
    for place in (source, target):
        read_files(spark, folder).write.format("delta").save(place)
    spark.createDataFrame([(1, 5, None)], "id long, n int, t date").write.format("delta").mode("append").save(source)
    stream(spark, source, target, str(folder / "checkpoint"))
    names = spark.createDataFrame([(1, "a")], "id long, name string")
    joined = spark.read.format("delta").load(target).join(names, "id", how="left")
    joined.groupBy("name").agg(F.sum("n"), F.max("t")).collect()
    DeltaTable.forPath(spark, target).history(1).collect()
    spark.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
