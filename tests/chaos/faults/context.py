"""Access of a fault to the system under test."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from time import monotonic, sleep

from tests.chaos.clock import Clock
from tests.chaos.data_losses import DataLoss
from tests.chaos.processes import Service
from tests.chaos.system import SystemUnderTest

POLL_INTERVAL = 0.02  # seconds
RESTART_TIMEOUT = 15.0  # seconds


@dataclass
class FaultContext:
    """The system and the clock, and random numbers of the fault's own, so that a seed repeats them."""

    system: SystemUnderTest
    clock: Clock
    rng: random.Random
    stopping: Event  # set at the end of the run: each fault ends, and repairs its damage
    losses: list[DataLoss] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        """Wait, at most until the end of the run."""
        self.stopping.wait(seconds)

    def wait_between(self, shortest: float, longest: float) -> None:
        """Wait for a random time."""
        self.wait(self.rng.uniform(shortest, longest))

    def wait_for(self, condition: Callable[[], bool], timeout: float = RESTART_TIMEOUT) -> None:
        """Wait until the condition is true, at most until the timeout or the end of the run."""
        deadline = monotonic() + timeout
        while not condition() and monotonic() < deadline and not self.stopping.is_set():
            sleep(POLL_INTERVAL)

    def kill(self, *services: Service) -> None:
        """Send SIGKILL to services, and wait until they are restarted."""
        for service in services:
            service.kill()
        self.wait_for(lambda: not any(service.exit_expected for service in services))

    def random_service(self) -> Service:
        return self.rng.choice([*self.system.schedulers, *self.system.workers])
