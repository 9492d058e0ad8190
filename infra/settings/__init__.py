"""The stack file as checked, frozen, plain data. The only reader of stack config; no resource is made here.

`stack.py` is all of it; the other modules hold sections, types, and how a wrong value is reported.
"""
