"""Starts a process again when it ends by itself."""

import logging
from dataclasses import dataclass

from devstack.process import Process

log = logging.getLogger("stack")

FIRST_PAUSE = 0.5  # seconds
LONGEST_PAUSE = 15.0
SETTLED = 60.0  # seconds after which an earlier crash no longer counts


@dataclass
class Keeper:
    """Keeps one process running, with pauses that grow while it goes on ending."""

    process: Process
    _pause: float = FIRST_PAUSE
    _started_at: float = 0.0
    _start_at: float | None = None  # while it waits for its next start

    def start(self, now: float) -> None:
        """Start the process; now is monotonic seconds, here and below."""
        self.process.start()
        self._started_at = now
        self._start_at = None

    def look(self, now: float) -> bool:
        """Note an end, or start again what has paused long enough; whether it was started."""
        if self.process.alive:
            return False
        if self._start_at is None:
            self._note_end(now)
        elif now >= self._start_at:
            self.start(now)
            return True
        return False

    def _note_end(self, now: float) -> None:
        if now - self._started_at > SETTLED:
            self._pause = FIRST_PAUSE
        log.warning("%s ended (%s), starts again in %s s", self.process.name, self.process.end, self._pause)
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
