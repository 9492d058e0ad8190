"""Programs that prepare a machine for the project. They run before its packages exist: standard library only."""
