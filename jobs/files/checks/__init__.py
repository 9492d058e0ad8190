"""Rules about several sections or several tasks of a job file, checked after each section by itself is right."""
