"""The endpoint for Prometheus."""

from typing import Annotated

from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
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

# For the whole process: one more series beside each histogram, without use.
disable_created_metrics()  # type: ignore[no-untyped-call]


def register(app: Flask, settings: Settings) -> CollectorRegistry:
    """Register the collectors of process and system metrics; return their registry."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(SystemCollector(settings.model_metrics))
    app.extensions[EXTENSION] = registry
    return registry


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
