"""The shape of a job file: its sections as pydantic models, with the rules of each. `job.py` has the whole."""
