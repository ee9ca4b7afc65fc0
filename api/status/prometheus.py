"""The endpoint for Prometheus, and the durations of requests."""

import time
from typing import Annotated

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics
from pydantic import Field

from api.contract.operation import Operation, ResponseSpec, operation
from api.settings import Settings
from api.status.collector import SystemCollector
from api.status.metric_families import PREFIX

blueprint = Blueprint("prometheus", __name__)

Metrics = Annotated[str, Field(examples=[f'{PREFIX}up{{server="redis"}} 1.0\n'])]

EXTENSION = "cyclic-metrics-prometheus"
OPENMETRICS = "application/openmetrics-text"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
OTHER = "other"  # clients can send any number of methods and paths; each label value occupies memory for good

# For the whole process: one more series beside each histogram, without use.
disable_created_metrics()  # type: ignore[no-untyped-call]


def register(app: Flask, settings: Settings) -> None:
    """Observe the durations of requests, and register the collectors; after the request log, which times requests."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(SystemCollector(settings.model_metrics))
    durations = Histogram(
        f"{PREFIX}http_request_duration_seconds",
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
    app.extensions[EXTENSION] = registry


@blueprint.get("/metrics")
@operation(
    Operation({200: ResponseSpec("Prometheus's text format.", Metrics, media_type="text/plain")}, needs_backends=False)
)
def metrics() -> Response:
    """Get metrics in Prometheus's text format.

    cyclic_metrics_up tells which server is unavailable; its metrics are left out. A client that accepts
    application/openmetrics-text gets that format.
    """
    registry = current_app.extensions[EXTENSION]
    # Not by choose_encoder() of prometheus-client: it raises on versions that are not numeric.
    if OPENMETRICS in request.headers.get("Accept", ""):
        body = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return Response(body, content_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
