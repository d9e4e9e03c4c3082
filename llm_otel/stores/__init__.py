"""Where ledgers live: in memory, in a SQLite file, in Redis."""
