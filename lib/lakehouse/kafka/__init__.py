"""What the source and the sink `kafka` share: brokers, offsets, messages as rows, rows as events."""
