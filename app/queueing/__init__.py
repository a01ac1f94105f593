"""The doorbell: the database is the truth, a message only says that it is worth a look."""
