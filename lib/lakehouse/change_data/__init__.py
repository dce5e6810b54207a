"""Change data into a target: the event log beside it, and the one commit that follows from it."""
