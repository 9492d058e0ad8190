"""The Python language host for a Pulumi CLI that was built from its Go module: it runs the program and policy packs.

An official installation of Pulumi brings its own host (`pulumi-language-python`, beside `pulumi`), and then this one is
never used. `host` answers the engine's calls, `programs` starts processes and ends them.
"""
