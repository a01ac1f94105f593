"""A plain job as the textbook loop in torch: a script for people, written line by line from the resolved spec."""
