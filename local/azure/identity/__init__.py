"""Who is asking: tokens, the Entra-like authority, ARM's metadata document and the instance metadata endpoint.

Owns authentication. What a caller may do is `local/azure/control_plane/access.py`'s.
"""
