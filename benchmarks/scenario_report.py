"""Reports of failure scenarios, and waiting within them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from tests.support.databases import wait_for

T = TypeVar("T")

MODELS, LABELS = 200, 1000  # due every minute
MINUTE = timedelta(minutes=1)


class NotObserved(Exception):
    """An expected state was not observed in time; the message names it."""


class Delay(NamedTuple):
    """The time from a failure to the recovery."""

    label: str
    seconds: float


@dataclass
class ScenarioReport:
    """Delays and defects in a scenario."""

    name: str
    delays: list[Delay] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)  # missing or duplicate results, exited processes
    watched_processes: int = 0

    def add(self, label: str, seconds: float) -> None:
        self.delays.append(Delay(label, seconds))


def expect(expectation: str, probe: Callable[[], T | None], seconds: float = 60) -> T:
    """Poll the probe until its value is true, and return it; raises NotObserved."""
    try:
        value = wait_for(probe, seconds)
    except AssertionError as error:
        raise NotObserved(f"{expectation}: {error}") from None
    assert value is not None
    return value


def measure(action: Callable[[], object], expectation: str, probe: Callable[[], object], seconds: float = 60) -> float:
    """Return the seconds from the start of an action until the value of the probe is true."""
    started_at = time.monotonic()
    action()
    expect(expectation, probe, seconds)
    return time.monotonic() - started_at


def current_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def sleep_until(instant: datetime) -> None:
    time.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds()))
