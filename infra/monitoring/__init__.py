"""What is observed of a deployed stack, and who gets mail: diagnostic settings, alerts, budget.

`alerts.py` holds the alerts as data; `monitoring.py` declares the resources.
"""
