"""Sinks: one file, one function each, that writes a frame once, however often it is repeated."""
