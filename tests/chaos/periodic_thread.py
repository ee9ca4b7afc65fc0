"""Thread that repeats an action."""

import random
from abc import ABC, abstractmethod
from threading import Event, Thread


class PeriodicThread(ABC):
    """Repeats an action after random pauses."""

    def __init__(self, name: str, rng: random.Random, pauses: tuple[float, float]) -> None:
        """Set the shortest and the longest pause, in seconds."""
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
    def run_once(self) -> None:
        """Perform the action."""

    def _run(self) -> None:
        while not self._stop.wait(self._rng.uniform(*self._pauses)):
            self.run_once()
