"""One class per resource; each owns its transactions."""
