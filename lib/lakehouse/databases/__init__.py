"""PostgreSQL as sources and sinks know it: addresses, control queries, types, bounds, staging."""
