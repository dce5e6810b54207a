"""The YAML: read, overlaid, its variables replaced, checked against its models; every problem with its line. No Spark."""
