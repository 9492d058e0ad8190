"""The local deployment engine: runs a Pulumi program against provider plugins and keeps the stack's state.

Data flows one way: `goal` (what the program asks for) -> `plan` (what to do, pure) -> `execute`, `deletion`, `refresh`,
`recovery` (the doing) -> `snapshot` (what is known, verified before each write) -> `display` and `digest`.
gRPC lives in `monitor` (the program's side) and `provider_client` (the plugins' side) only; `codec` alone knows how
secret and unknown values are marked. Nothing here knows Azure: that is `local/plugins` and `local/azure`.
"""
