"""What all services share of the control plane: which resources exist, who calls, and who may do what.

`resources` is the table of ARM resources, `ids` their grammar, `resource_types` and `shapes` what ARM knows of each
type; `tokens` issues and checks access tokens; `roles` and `access` decide. `cloud` is all of it as one object, with
which every service is built. The services (ARM's endpoint included) import this room; it imports `platform` only.
"""
