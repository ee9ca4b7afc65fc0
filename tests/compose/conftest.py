"""Compose project of all container tests: started for the first of them, and removed at the end."""

import signal
from collections.abc import Generator, Iterator

import pytest

from tests.support.compose.docker_cli import unavailable_reason
from tests.support.compose.lifecycle import log_readers, running_project
from tests.support.compose.project import ComposeProject
from tests.support.databases import model_ids

MODELS = 50
INSERT_MODEL = """
    INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{0}', '* * * * *') ON CONFLICT DO NOTHING;
    INSERT INTO results (model_id, y_true, y_pred) VALUES ('{0}', '[1, 0, 1, 1]', '[1, 0, 1, 0]');
"""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder."""
    item.add_marker("compose")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the output of the containers to the report of a failed test or fixture."""
    report = yield
    if report.failed:
        report.sections += [("containers", read_logs()) for read_logs in log_readers]
    return report


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[None]:
    """Skip tests on a machine without Docker; remove what they have started when they are terminated."""
    if reason := unavailable_reason():
        pytest.skip(reason)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt the removal
        pytest.exit("SIGTERM", 143)

    previous_handler = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, previous_handler)


@pytest.fixture(scope="session")
def project(docker_engine: None) -> Iterator[ComposeProject]:
    with running_project("test", {"TEST_DATA": "true"}) as running:
        yield running


@pytest.fixture(scope="session")
def models(project: ComposeProject) -> list[str]:
    """Models that are due every minute, with the accuracy ACCURACY and a first result that must not get lost."""
    ids = list(model_ids(MODELS))
    project.sql("".join(INSERT_MODEL.format(model_id) for model_id in ids))
    project.run_minute(ids)
    return ids
