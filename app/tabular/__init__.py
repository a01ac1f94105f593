"""Rows to columns to arrays: reading files, schema, statistics, preprocessing."""
