"""Set-up of one machine: virtual environment, Pulumi CLI, Debian packages, Azurite, a Docker engine.

Runs on the bare system's Python (3.11 or newer, standard library only). Each step is cached by the content that it
depends on, so that a second call with nothing to do ends within a second. Neighbours: `local/` runs what is set up, and
asks `pulumi_cli.find` for the CLI.
"""
