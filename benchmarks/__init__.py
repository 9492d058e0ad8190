"""Measurements, each beside a floor or a rival measured in the same run. Not tests: run them on an idle machine."""
