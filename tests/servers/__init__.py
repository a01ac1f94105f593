"""Real servers for tests: each is found, started, stopped here."""
