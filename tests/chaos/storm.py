"""The storm: faults picked one after another, several at a time."""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic

import psycopg2
import redis

from tests.chaos import junk_faults, losses, process_faults, server_faults, user_faults
from tests.chaos.clock import Clock
from tests.chaos.stack import Stack
from tests.chaos.world import POLL, Fault, Loss, World

log = logging.getLogger("chaos")

PAUSES = 1.5, 5.0  # seconds from one fault to the next
MODULES = junk_faults, losses, process_faults, server_faults, user_faults  # importing them fills FAULTS


@dataclass(eq=False)
class Blow:
    """One fault that took place, or could not because of another one."""

    fault: Fault
    began: datetime
    ended: datetime | None = None


@dataclass
class Storm:
    """Begins faults in threads of their own; each kind once before any comes again."""

    stack: Stack
    clock: Clock
    rng: random.Random
    faults: Sequence[Fault]
    blows: list[Blow] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _healing: Event = field(default_factory=Event)
    _threads: dict[Thread, str] = field(default_factory=dict)
    _deck: list[Fault] = field(default_factory=list)
    _next_at: float = 0.0  # monotonic

    def go_on(self) -> None:
        """Begin the next fault if it is time."""
        if monotonic() < self._next_at:
            return
        self._next_at = monotonic() + self.rng.uniform(*PAUSES)
        self._threads = {thread: group for thread, group in self._threads.items() if thread.is_alive()}
        chosen = self._draw(set(self._threads.values()))
        if chosen is None:
            return
        world = World(self.stack, self.clock, random.Random(self.rng.random()), self._healing, self.losses)
        thread = Thread(target=self._act, args=(chosen, world), name=chosen.name)
        self._threads[thread] = chosen.group
        thread.start()

    def heal(self) -> None:
        """End all faults; those that repair what they broke may need the servers for that."""
        self._healing.set()
        for thread in self._threads:
            while thread.is_alive():
                self.stack.tend()
                thread.join(POLL)

    def _draw(self, busy: set[str]) -> Fault | None:
        if not self._deck:
            self._deck = list(self.faults)
            self.rng.shuffle(self._deck)
        chosen = next((fault for fault in self._deck if fault.group not in busy), None)
        if chosen is not None:
            self._deck.remove(chosen)
        return chosen

    def _act(self, fault: Fault, world: World) -> None:
        log.info("begins: %s", fault.name)
        blow = Blow(fault, datetime.now(UTC))
        self.blows.append(blow)
        try:
            fault.act(world)
        except (psycopg2.Error, redis.RedisError, OSError) as error:
            log.info("another fault is in the way of %s: %s", fault.name, " ".join(str(error).split()))
        except Exception as error:
            log.exception("%s", fault.name)
            self.errors.append(f"{fault.name}: {error!r}")
        finally:
            blow.ended = datetime.now(UTC)
        log.info("over: %s", fault.name)
