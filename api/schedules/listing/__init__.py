"""Keyset pagination of the list of schedules."""
