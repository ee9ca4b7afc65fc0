"""Baseline of the API: waitress and Flask with a constant response. python -m benchmarks.flask_baseline PORT."""

import logging
import sys

import waitress
from flask import Flask, Response, jsonify

from api.http.limits import DEFAULT_LIMITS
from devstack.ports import HOST

RESULT = {  # as long as a real one
    "model_id": "550e8400-e29b-41d4-a716-446655440000",
    "due_at": "2026-11-24T00:52:00.000Z",
    "calculated_at": "2026-11-24T00:52:00.010Z",
    "status": "ok",
    "metrics": {"accuracy": 0.9533333333333334},
    "samples": 150,
    "result_id": 8,
    "data_timestamp": "2026-11-16T06:00:00.000000Z",
    "error": None,
}

app = Flask(__name__)


@app.get("/results/<model_id>")
def result(model_id: str) -> Response:
    return jsonify(RESULT | {"model_id": model_id})


if __name__ == "__main__":
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line per queued request would slow it down
    waitress.serve(app, host=HOST, port=int(sys.argv[1]), threads=DEFAULT_LIMITS.threads, ident=None)
