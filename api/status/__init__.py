"""Health checks, system status, Prometheus metrics."""
