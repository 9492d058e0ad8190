"""The emulated services of the local Azure, and what they share: store, clock, errors, access, ports, certificates.

The top level owns what every surface uses; each surface (`arm`, `identity`, `batch`, `registry`, `blobs`, `sql`) is a
room of its own. Nothing in here knows Pulumi, and nothing here starts nodes (`local/node`).
"""
