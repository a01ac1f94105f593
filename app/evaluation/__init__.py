"""The loss and the metrics of many rows, by the engine's definitions, in numpy."""
