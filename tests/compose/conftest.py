"""One stack for all tests in containers, made when the first of them asks for it, and removed at the end."""

import os
import signal
from collections.abc import Generator, Iterator

import pytest

from tests.compose.docker import missing
from tests.compose.running import a_stack, logs
from tests.compose.stack import Stack
from tests.support.databases import model_ids

MODELS = 50
FILL = """
    INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{0}', '* * * * *') ON CONFLICT DO NOTHING;
    INSERT INTO results (model_id, y_true, y_pred) VALUES ('{0}', '[1, 0, 1, 1]', '[1, 0, 1, 0]');
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the containers said, with whatever fails: a fixture as well as a test."""
    report = yield
    if report.failed:
        report.sections += [("containers", said()) for said in logs]
    return report


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """Where there is none, its tests skip; when the tests are told to end, what they started is removed first."""
    if os.environ.get("COMPOSE_TESTS") != "1":
        pytest.skip("make test-compose runs it: it needs Docker, builds images, and takes some minutes")
    if reason := missing():
        pytest.skip(reason)

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut the removal short
        pytest.exit("SIGTERM", 143)

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def stack(engine: None) -> Iterator[Stack]:
    with a_stack("test", {"TEST_DATA": "true"}) as made:
        yield made


@pytest.fixture(scope="session")
def models(stack: Stack) -> list[str]:
    """Models that are due every minute, each with the accuracy ACCURACY, and a first result that must not get lost."""
    found = list(model_ids(MODELS))
    stack.sql("".join(FILL.format(model_id) for model_id in found))
    stack.run_a_minute(found)
    return found
