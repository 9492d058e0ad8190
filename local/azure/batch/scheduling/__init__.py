"""Which task runs on which node, and when: decisions (`scheduler`, `exit_conditions`) and those who act on them.

`dispatcher` sends commands to nodes and takes their reports, `allocation` resizes pools, `job_life` and `job_tasks` own
jobs as a whole and their preparation and release tasks; `run_specs` and `environment` write what a node is sent.
Nothing here knows HTTP.
"""
