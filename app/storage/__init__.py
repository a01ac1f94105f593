"""Bytes, atomically: a folder or a bucket."""
