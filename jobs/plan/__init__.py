"""What a verb is going to send, as data: definitions of jobs and tasks, resource files, which tasks run again.

Nothing here changes the service except `upload.py`, which puts the inputs of a plan into the job's container.
"""
