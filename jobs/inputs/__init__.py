"""A job file's `inputs` on their way to a task: found and read here, uploaded once by content, given as resource files.

What the section may say is `jobs/jobfile/inputs.py`'s. Nothing is sent before everything was looked at.
"""
