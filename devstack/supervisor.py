"""Restarts a process that exits, with backoff."""

import logging
from dataclasses import dataclass

from devstack.process import Process

log = logging.getLogger("stack")

MIN_BACKOFF = 0.5  # seconds
MAX_BACKOFF = 15.0  # seconds
BACKOFF_RESET_TIME = 60.0  # seconds of uptime after which earlier exits no longer count


@dataclass
class Supervisor:
    """Keeps one process running; the backoff doubles with each exit. Times are monotonic seconds."""

    process: Process
    _backoff: float = MIN_BACKOFF
    _started_at: float = 0.0
    _restart_at: float | None = None  # during the backoff

    def start(self, now: float) -> None:
        """Start the process."""
        self.process.start()
        self._started_at = now
        self._restart_at = None

    def poll(self, now: float) -> bool:
        """Detect an exit, or restart the process after the backoff; True if it was restarted."""
        if self.process.alive:
            return False
        if self._restart_at is None:
            self._back_off(now)
        elif now >= self._restart_at:
            self.start(now)
            return True
        return False

    def _back_off(self, now: float) -> None:
        if now - self._started_at > BACKOFF_RESET_TIME:
            self._backoff = MIN_BACKOFF
        log.warning("%s exited (%s), restart in %s s", self.process.name, self.process.exit_reason, self._backoff)
        self._restart_at = now + self._backoff
        self._backoff = min(2 * self._backoff, MAX_BACKOFF)
