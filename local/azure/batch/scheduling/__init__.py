"""One account at work: events in, records changed, orders to nodes out. What is decided is in `decisions/`.

`loop` takes events one after the other, `orders` tells nodes; between them `dispatcher` has tasks and their runs,
`job_tasks` a job's preparation and release tasks, `job_life` jobs as a whole, `allocation` pools and nodes. `assembly`
puts them together and says who takes which event. Nothing here knows HTTP.
"""
