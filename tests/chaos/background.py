"""Threads of the chaos run."""

import random
from abc import ABC, abstractmethod
from threading import Event, Thread


class Periodic(ABC):
    """Does one thing again and again, after random pauses, in a thread of its own."""

    def __init__(self, name: str, rng: random.Random, pauses: tuple[float, float]) -> None:
        """Pause for a time between these two (seconds)."""
        self._rng = rng
        self._pauses = pauses
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @abstractmethod
    def act(self) -> None:
        """Do it once."""

    def _run(self) -> None:
        while not self._stop.wait(self._rng.uniform(*self._pauses)):
            self.act()
