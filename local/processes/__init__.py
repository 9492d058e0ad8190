"""The processes of the local Azure on this machine: one supervisor, its children, and what they leave for others.

`background` starts and stops the supervisor; `supervisor` keeps its children running; `children` is the table of them;
`running` is what every other command reads: the lock, the process ids and `cloud.json` (which
`local/azure/cloudfile.py` writes). What the children serve is not here: that is `local/azure`.
"""
