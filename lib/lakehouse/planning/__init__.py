"""A job's words bound to functions, and every check that needs neither Spark nor data."""
