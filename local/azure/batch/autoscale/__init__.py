"""The formula language of pools that scale themselves, as the documentation describes it. Pure: no clock, no store.

Source: https://learn.microsoft.com/azure/batch/batch-automatic-scaling (variables, types, operations, functions, sample
methods and its example formulas). What the document does not have is refused by name and position; what it leaves open
is marked [guess] where it is decided.

`syntax.py`: text to statements. `values.py`: types, operators, how values are written. `functions.py`: the functions.
`samples.py`: metrics and the methods that read their history. `evaluation.py`: all of it together.
"""
