"""The stack engine: arrays in, reports out; knows no SQL, no Celery, no HTTP, no settings."""
