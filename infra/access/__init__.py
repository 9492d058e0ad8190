"""Who may do what: the two identities, ids of roles, and the assignments for identities, people and pipelines.

Does not own what is accessed: registry, storage and account are components of their own.
"""
