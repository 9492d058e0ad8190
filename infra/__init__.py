"""The Azure side: one module or package per concern, assembled by `__main__.py`.

Owns the resources of a stack and their order. Does not own what runs on them: tasks belong to `jobs/`, the image's
content to `worker/`. Nothing here knows of the local Azure; what differs per stack is settings.
"""
