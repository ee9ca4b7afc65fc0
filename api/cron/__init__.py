"""The endpoint that previews a cron expression."""
