"""From templates to single tasks: rows from files, sweeps and generators, and placeholders filled with their values."""
