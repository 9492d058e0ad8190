"""Verbs for the command itself: help, completion, and a check of everything that it depends on."""
