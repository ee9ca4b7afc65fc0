"""Durations of requests, for Prometheus."""

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
OTHER = "other"  # clients can send any number of methods and paths; each label value occupies memory for good


def register(app: Flask, registry: CollectorRegistry) -> None:
    """Observe the durations of requests; to be registered after the request log, which starts their timer."""
    durations = Histogram(
        "cyclic_metrics_http_request_duration_seconds",
        "Duration of requests, by the template of their route.",
        ["method", "route", "status"],
        buckets=BUCKETS,
        registry=registry,
    )
    labelled: dict[tuple[str, str, int], Histogram] = {}  # labels() takes longer than all the rest

    def observe(response: Response) -> Response:
        method, rule = request.method, request.url_rule
        labels = (method if method in METHODS else OTHER, rule.rule if rule else OTHER, response.status_code)
        if labels not in labelled:
            labelled[labels] = durations.labels(*labels)
        labelled[labels].observe(time.monotonic() - g.started_at)
        return response

    app.after_request(observe)
