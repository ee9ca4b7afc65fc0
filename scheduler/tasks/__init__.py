"""Tasks of the leader, each run in turn."""
