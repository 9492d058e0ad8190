"""What the scheduling decides, as functions of records: which task goes where, what an end means, what a node is told.

Pure: no clock, no store, no executor. `scheduling/` asks, writes down and acts.
"""
