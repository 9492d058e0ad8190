"""Deploying the stack "local" with the real Pulumi CLI, and offline previews of the real stacks.

`project` writes what the CLI reads (a project file that names our plugins) and builds its environment; `settings` is
the stack's configuration; `recovery` repairs what a killed run left; `tour`, `database` and `teardown` are the steps of
`make up` and `make destroy` around it. What changes is for Pulumi to decide: nothing here looks into that.
"""
