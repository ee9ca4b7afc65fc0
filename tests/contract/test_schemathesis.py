"""A search for requests on which the API and its contract disagree: a short one, or a long one by `make fuzz-api`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import redis
import schemathesis

from api import tokens
from core.results.repository import ResultStore
from devstack.ports import free_port
from devstack.services import API
from tests.support.api_fuzzing import fuzz_api, schemathesis_config
from tests.support.databases import Connection, Databases, wait_for
from tests.support.processes import Service, running_service
from tests.support.schemathesis_formats import insert_test_data, register_formats

PHASES = {"examples", "coverage", "fuzzing", "stateful"}
TOKEN, ENTRY = tokens.make("schemathesis", may_write=True)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def api(databases: Databases, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """Start a process as in production; return it with its URL."""
    port = free_port()
    env = {
        "DATABASE_URL": databases.url_as("metrics_api", database_url),
        "REDIS_URL": redis_url,
        "API_TOKENS": ENTRY,
        "PORT": str(port),
    }
    with running_service(API, env, tmp_path / "api.log") as running:
        wait_for(lambda: "Serving" in running.output)
        yield running, f"http://127.0.0.1:{port}"


def test_api_conforms_to_its_openapi_document(
    api: tuple[Service, str], db: Connection, redis_client: redis.Redis, request: pytest.FixtureRequest
) -> None:
    running, url = api
    insert_test_data(db, ResultStore(redis_client))
    register_formats(pagination_cursor(url))
    config = schemathesis_config(url, HEADERS, request.config.getoption("minutes"))
    with get(url, "/openapi.json") as response:
        document = json.load(response)

    findings = fuzz_api(schemathesis.openapi.from_dict(document, config=config))

    print(findings)
    assert not findings.failures, "\n\n".join(findings.failures)
    assert {phase for phase, calls in findings.calls.items() if calls} == PHASES
    # Each operation must have succeeded at least once, or the checks have seen rejected requests only.
    succeeded = {operation for operation, statuses in findings.statuses.items() if min(statuses) < 300}
    assert succeeded >= {f"{method.upper()} {path}" for path, calls in document["paths"].items() for method in calls}
    assert "Traceback" not in running.output


def pagination_cursor(url: str) -> str:
    with get(url, "/schedule?limit=1") as response:
        match = re.search(r"[?&]after=([^&>]+)", response.headers["Link"])
    assert match
    return match[1]


def get(url: str, path: str) -> Any:
    return urlopen(Request(url + path, headers=HEADERS))
