"""Cron expressions in time zones: pure functions of naive and UTC times."""
