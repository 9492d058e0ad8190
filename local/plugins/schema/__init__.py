"""What a provider's Python SDK says about its resources, by introspection: no copy of the schema is kept.

`sdk` finds classes and their properties, `check` finds problems of inputs, `conform` brings values into the shape the
SDK expects of outputs. Not derivable, and so not here: lengths, patterns, immutability, secrecy (ARM checks those).
"""
