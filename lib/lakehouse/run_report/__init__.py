"""A run as one HTML page: read from the lake without Spark, put together by pure functions."""
