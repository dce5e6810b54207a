"""Transforms: one file, one function each, from a frame to a frame."""
