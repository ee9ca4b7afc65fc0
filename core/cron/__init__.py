"""Cron expressions in time zones: pure functions of naive local times and UTC instants."""

from core.cron.occurrences import next_fire

__all__ = ["next_fire"]
