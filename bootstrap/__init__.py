"""What the pipelines need before their first run, as a Pulumi program of its own: state, keys, identities, rights.

`python -m ci.bootstrap` runs it; docs/ci.md says when. It deploys nothing of the platform itself.
"""
