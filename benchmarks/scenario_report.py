"""What scenarios of failures report, and how they wait."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.support.databases import wait_for

T = TypeVar("T")

MODELS, LABELS = 200, 1000  # due every minute
MINUTE = timedelta(minutes=1)


class Missing(Exception):
    """Something did not come in time; the message says what."""


@dataclass
class Report:
    """What a scenario found."""

    name: str
    figures: list[tuple[str, float]] = field(default_factory=list)  # what, and seconds
    faults: list[str] = field(default_factory=list)  # missing, twice, or exited
    watched: int = 0  # processes


def expect(what: str, look: Callable[[], T | None], seconds: float = 60) -> T:
    """Look until there is something, and return it; raises Missing."""
    try:
        found = wait_for(look, seconds)
    except AssertionError as error:
        raise Missing(f"{what}: {error}") from None
    assert found is not None
    return found


def timed(do: Callable[[], object], what: str, look: Callable[[], object], seconds: float = 60) -> float:
    """Return how many seconds it takes from the beginning of a deed until there is something."""
    began = time.monotonic()
    do()
    expect(what, look, seconds)
    return time.monotonic() - began


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
