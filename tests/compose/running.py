"""What runs for as long as tests need it, and what it said when something failed."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from devstack.ports import free_port
from tests.compose.stack import Stack

logs: list[Callable[[], str]] = []  # of all that runs at present, for the report of a failure


@contextmanager
def logs_shown(said: Callable[[], str]) -> Iterator[None]:
    """Let a failure's report show what is said here; or print it now, where the containers are removed before."""
    logs.append(said)
    try:
        yield
    except BaseException:
        print(said())
        raise
    finally:
        logs.remove(said)


@contextmanager
def a_stack(name: str, variables: Mapping[str, str]) -> Iterator[Stack]:
    """Start a project; whatever becomes of the tests, nothing of it is left."""
    stack = Stack(f"cyclic-metrics-{name}-{os.getpid()}", free_port(), variables)
    try:
        with logs_shown(stack.logs):
            stack.up("--build")
            yield stack
    finally:
        stack.remove()
