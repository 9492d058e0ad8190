"""What a provider's Python SDK says about its resources, by introspection: no copy of the schema is in the repository.

`sdk` finds classes and their properties, `descriptions` keeps what it found as plain data, `check` finds problems of
inputs, `conform` brings values into the shape the SDK expects of outputs. Not derivable, and so not here: lengths,
patterns, immutability, secrecy (ARM checks those).
"""
