"""The docker stand-in: `docker:index/image:Image` only, really built and pushed.

`context` is pure file work (defaults, ignore rules, digest), `building` and `pushing` read the engine's progress
streams, `engine` connects to the Docker engine, `provider` puts them behind Pulumi's protocol. The classic builder is
used: the BuildKit session protocol is not in Docker's Python SDK.
"""
