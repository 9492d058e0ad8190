"""Handlers to read and to try: a numeric job in steps, and a file loaded into a table."""
