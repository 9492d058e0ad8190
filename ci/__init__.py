"""What the pipelines run: scripts that work on any machine, so that a workflow file only calls them."""
