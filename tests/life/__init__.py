"""The life of a job, played by chance: no order of events and no failing call breaks what is promised."""
