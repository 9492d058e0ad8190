"""What is known of jobs and tasks: progress, why a task failed or waits, where its output is, what was submitted."""
