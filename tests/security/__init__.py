"""Nobody reads, changes or stops what is not theirs: keys, paths, bodies, messages, secrets."""
