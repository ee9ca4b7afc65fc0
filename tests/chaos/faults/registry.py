"""Registry of faults."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tests.chaos.faults.context import FaultContext

JUNK_PREFIX = "junk: "  # of the names of faults that must not delay any other model


class Fault(NamedTuple):
    """A fault; at most one of each group is active at a time."""

    name: str
    group: str
    inject: Callable[[FaultContext], None]
    loses_data: bool


@dataclass(eq=False)
class Injection:
    """An injected fault, even if another one prevented it."""

    fault: Fault
    started_at: datetime
    ended_at: datetime | None = None


FAULTS: list[Fault] = []


def fault(
    name: str, group: str, *, loses_data: bool = False
) -> Callable[[Callable[[FaultContext], None]], Callable[[FaultContext], None]]:
    """Register a function as a fault; it returns when the fault has ended and its damage is repaired."""

    def register(inject: Callable[[FaultContext], None]) -> Callable[[FaultContext], None]:
        FAULTS.append(Fault(name, group, inject, loses_data))
        return inject

    return register
