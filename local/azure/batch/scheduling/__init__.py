"""One account at work: events in; changed records and commands out. What is decided is in `decisions/`.

`loop` takes events one after the other, each in a `turn`. Handlers are functions of a turn and an event: `task_runs`
and `assignment` for tasks, `job_tasks` for a job's preparation and release tasks, `job_life` and `schedules` for jobs,
`allocation` and `autoscaling` for pools and nodes. `performer` carries out commands; `messages` has all events and
commands, `assembly` says who takes which event. Nothing here knows HTTP.
"""
