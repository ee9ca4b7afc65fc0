"""The REST API: reads and writes schedules, shows results."""
