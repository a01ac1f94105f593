"""Training: claims jobs from the database and runs them through the engine."""
