"""Submitting work to a deployed stack and looking at it: `python -m jobs VERB`.

Owns job files, submission, watching, logs, results and node states. Does not own infrastructure: what it must know of a
stack it reads from the stack's outputs (`service/connection.py`). Only `service/client.py` imports azure.batch, only
`service/storage.py` azure.storage.blob, only `terminal/render.py` prints.
"""
