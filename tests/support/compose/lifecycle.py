"""Start and removal of compose projects, with logs for failed tests."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from devstack.ports import free_port
from tests.support.compose.project import ComposeProject

log_readers: list[Callable[[], str]] = []  # of all that runs, for the report of a failed test


@contextmanager
def logs_on_failure(read_logs: Callable[[], str]) -> Iterator[None]:
    """Add logs to the report of a failed test; print them if the block fails, since the containers are removed then."""
    log_readers.append(read_logs)
    try:
        yield
    except BaseException:
        print(read_logs())
        raise
    finally:
        log_readers.remove(read_logs)


@contextmanager
def running_project(name: str, variables: Mapping[str, str]) -> Iterator[ComposeProject]:
    """Start a project, and remove all of it afterwards."""
    project = ComposeProject(f"cyclic-metrics-{name}-{os.getpid()}", free_port(), variables)
    try:
        with logs_on_failure(project.logs):
            project.up("--build")
            yield project
    finally:
        project.remove()
