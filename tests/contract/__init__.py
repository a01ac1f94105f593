"""The document at /openapi.json, held against the service."""
