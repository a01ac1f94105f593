"""Batch predictions: a dataset's rows in parts, each predicted, written, and pointed at under the fence."""
