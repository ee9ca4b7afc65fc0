"""Fault injection: random faults, several at a time."""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic

import psycopg2
import redis

from tests.chaos.clock import Clock
from tests.chaos.data_losses import DataLoss
from tests.chaos.faults.context import POLL_INTERVAL, FaultContext
from tests.chaos.faults.registry import Fault, Injection
from tests.chaos.system import SystemUnderTest

log = logging.getLogger("chaos")

PAUSES = 1.5, 5.0  # seconds from one fault to the next


@dataclass
class FaultInjector:
    """Injects faults in threads of their own; each fault once before any is repeated."""

    system: SystemUnderTest
    clock: Clock
    rng: random.Random
    faults: Sequence[Fault]
    injections: list[Injection] = field(default_factory=list)
    losses: list[DataLoss] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _stopping: Event = field(default_factory=Event)
    _threads: dict[Thread, str] = field(default_factory=dict)  # and the group of the fault
    _remaining: list[Fault] = field(default_factory=list)
    _next_at: float = 0.0  # monotonic time

    def inject_due_fault(self) -> None:
        """Inject the next fault if its time has come."""
        if monotonic() < self._next_at:
            return
        self._next_at = monotonic() + self.rng.uniform(*PAUSES)
        self._threads = {thread: group for thread, group in self._threads.items() if thread.is_alive()}
        fault = self._choose_fault(set(self._threads.values()))
        if fault is None:
            return
        rng = random.Random(self.rng.random())
        context = FaultContext(self.system, self.clock, rng, self._stopping, self.losses)
        thread = Thread(target=self._inject, args=(fault, context), name=fault.name)
        self._threads[thread] = fault.group
        thread.start()

    def stop(self) -> None:
        """End all faults; servers are supervised meanwhile, since repairs may need them."""
        self._stopping.set()
        for thread in self._threads:
            while thread.is_alive():
                self.system.supervise()
                thread.join(POLL_INTERVAL)

    def _choose_fault(self, busy_groups: set[str]) -> Fault | None:
        if not self._remaining:
            self._remaining = list(self.faults)
            self.rng.shuffle(self._remaining)
        fault = next((fault for fault in self._remaining if fault.group not in busy_groups), None)
        if fault is not None:
            self._remaining.remove(fault)
        return fault

    def _inject(self, fault: Fault, context: FaultContext) -> None:
        log.info("started: %s", fault.name)
        injection = Injection(fault, datetime.now(UTC))
        self.injections.append(injection)
        try:
            fault.inject(context)
        except (psycopg2.Error, redis.RedisError, OSError) as error:
            log.info("%s prevented by another fault: %s", fault.name, " ".join(str(error).split()))
        except Exception as error:
            log.exception("%s", fault.name)
            self.errors.append(f"{fault.name}: {error!r}")
        finally:
            injection.ended_at = datetime.now(UTC)
        log.info("ended: %s", fault.name)
