"""One stack for all tests in containers, made when the first of them asks for it, and removed at the end."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.compose.docker import missing
from tests.compose.stack import Stack
from tests.databases import model_ids, wait_for

MODELS = 50
FILL = """
    INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{0}', '* * * * *') ON CONFLICT DO NOTHING;
    INSERT INTO results (model_id, y_true, y_pred) VALUES ('{0}', '[1, 0, 1, 1]', '[1, 0, 1, 0]');
"""

started: list[Stack] = []  # those that are there at present


@contextmanager
def a_stack(name: str, variables: Mapping[str, str]) -> Iterator[Stack]:
    """Start a project; whatever becomes of the tests, nothing of it is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stack = Stack(f"cyclic-metrics-{name}-{os.getpid()}", port, variables)
    started.append(stack)
    try:
        try:
            stack.up("--build")
        except BaseException:
            print(stack.logs())
            raise
        yield stack
    finally:
        started.remove(stack)
        stack.remove()


@pytest.fixture(scope="session")
def engine() -> None:
    if os.environ.get("COMPOSE_TESTS") != "1":
        pytest.skip("make test-compose runs it: it needs Docker, builds images, and takes some minutes")
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def stack(engine: None) -> Iterator[Stack]:
    with a_stack("test", {"TEST_DATA": "true"}) as made:
        yield made


@pytest.fixture(scope="session")
def models(stack: Stack) -> list[str]:
    """Models that are due every minute, each with the accuracy ACCURACY, and a first result that must not get lost."""
    found = list(model_ids(MODELS))
    stack.sql("".join(FILL.format(model_id) for model_id in found))
    minute = stack.minute(seconds=2)
    wait_for(lambda: stack.is_complete(found, minute))
    return found


@pytest.fixture(autouse=True)
def _logs_of_a_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before:
        for stack in started:
            print(stack.logs())
