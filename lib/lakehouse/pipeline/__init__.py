"""A run: what a dead one left, then batch after batch, with its progress and its record."""
