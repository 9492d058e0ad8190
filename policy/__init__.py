"""The policy pack: what every stack of this project must keep. `rules.py` is the table; `__main__.py` registers it."""
