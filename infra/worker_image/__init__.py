"""The worker image as the stack uses it: its sources and their identity, the build, the login at the registry.

Does not own what is in the image: that is `worker/`.
"""
