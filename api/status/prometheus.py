"""Figures for Prometheus: /metrics, and how long requests took."""

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

Figures = Annotated[str, Field(examples=[f'{PREFIX}up{{server="redis"}} 1.0\n'])]

EXTENSION = "cyclic-metrics-prometheus"
OPENMETRICS = "application/openmetrics-text"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
OTHER = "other"  # callers can make up methods and paths without end; each label value costs memory for good

# For the process: one more series beside each histogram, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


def register(app: Flask, settings: Settings) -> None:
    """Observe the requests of an application, and gather its figures; after the request log, which times them."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(SystemCollector(settings.model_metrics))
    durations = Histogram(
        f"{PREFIX}http_request_duration_seconds",
        "How long requests took, by the route's template.",
        ["method", "route", "status"],
        buckets=BUCKETS,
        registry=registry,
    )
    bound: dict[tuple[str, str, int], Histogram] = {}  # labels() takes longer than all the rest

    def observe(answer: Response) -> Response:
        method, rule = request.method, request.url_rule
        key = (method if method in METHODS else OTHER, rule.rule if rule else OTHER, answer.status_code)
        if key not in bound:
            bound[key] = durations.labels(*key)
        bound[key].observe(time.monotonic() - g.began)
        return answer

    app.after_request(observe)
    app.extensions[EXTENSION] = registry


@blueprint.get("/metrics")
@operation(
    Operation({200: ResponseSpec("Prometheus's text format.", Figures, media_type="text/plain")}, needs_backends=False)
)
def metrics() -> Response:
    """Show figures for Prometheus.

    A server that is away is told by cyclic_metrics_up; what it would have said is left out. Who accepts
    application/openmetrics-text gets that.
    """
    registry = current_app.extensions[EXTENSION]
    # Not by choose_encoder() of prometheus-client: it raises on versions that are no numbers.
    if OPENMETRICS in request.headers.get("Accept", ""):
        body = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return Response(body, content_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
