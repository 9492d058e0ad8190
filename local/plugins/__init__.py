"""Stand-ins for Pulumi's provider plugins: Pulumi resources become ARM requests and Docker builds.

Rooms: `protocol` (the gRPC side, the process), `schema` (what the Python SDKs say about inputs and outputs),
`azure_native`, `docker_image`; the two folders with a dash hold the executables that `plugins.providers[].path` names.
Not here: state of the cloud (that is `local/azure`), and deployment decisions (Pulumi's engine).
"""
