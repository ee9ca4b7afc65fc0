"""What a fault may use, and the registry of all faults."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from time import monotonic, sleep
from typing import NamedTuple

from tests.chaos.clock import Clock
from tests.chaos.processes import Service
from tests.chaos.stack import Stack

JUNK = "junk: "  # how the names of faults begin that must not make any other model late
POLL = 0.02  # seconds
RESTARTED = 15.0  # seconds; long enough for any start


@dataclass(frozen=True)
class Loss:
    """A loss of data: what it was, and the real time at which it began."""

    kind: str
    at: datetime


@dataclass
class World:
    """The stack as one fault sees it; its random numbers are its own, so that a seed repeats them."""

    stack: Stack
    clock: Clock
    rng: random.Random
    healing: Event  # from then on nothing may be broken any more
    losses: list[Loss] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Wait; shorter if everything is to be healed."""
        self.healing.wait(seconds)

    def between(self, shortest: float, longest: float) -> None:
        self.pause(self.rng.uniform(shortest, longest))

    def wait_for(self, condition: Callable[[], bool], seconds: float = RESTARTED) -> None:
        """Wait until it is true, but not for ever."""
        deadline = monotonic() + seconds
        while not condition() and monotonic() < deadline and not self.healing.is_set():
            sleep(POLL)

    def kill(self, *services: Service) -> None:
        """Kill services, and wait until they are started again."""
        for service in services:
            service.kill()
        self.wait_for(lambda: not any(service.told_to_end for service in services))

    def any_service(self) -> Service:
        return self.rng.choice([*self.stack.schedulers, *self.stack.workers])


class Fault(NamedTuple):
    """Something that goes wrong for a while; of each group one at a time."""

    name: str
    group: str
    act: Callable[[World], None]
    loses_data: bool


FAULTS: list[Fault] = []
NO_FAULTS = "none"


def fault(
    name: str, group: str, *, loses_data: bool = False
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Register a function as a fault, which returns when it is over and heals what it broke."""

    def register(act: Callable[[World], None]) -> Callable[[World], None]:
        FAULTS.append(Fault(name, group, act, loses_data))
        return act

    return register


class UnknownFault(ValueError):
    """A word that is in the name of no fault."""


def selected(words: str, *, lose_data: bool) -> list[Fault]:
    """Return the faults whose names hold one of the words, which commas separate; all without words."""
    possible = [fault for fault in FAULTS if lose_data or not fault.loses_data]
    if not words:
        return possible
    if words == NO_FAULTS:
        return []
    wanted = [word.strip() for word in words.split(",")]
    for word in wanted:
        if not any(word in fault.name for fault in possible):
            names = "; ".join(fault.name for fault in possible)
            raise UnknownFault(f'FAULTS has "{word}", which is in the name of no fault; the names are: {names}')
    return [fault for fault in possible if any(word in fault.name for word in wanted)]
