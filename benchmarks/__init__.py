"""Measurements, each beside a floor or a rival in the same run. Not tests: run them on an idle machine."""
