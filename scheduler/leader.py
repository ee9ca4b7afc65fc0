"""What a leading scheduler does, the most urgent thing first."""

import logging
import select
import time
from datetime import datetime, timedelta

from psycopg2.extensions import connection

from scheduler import store
from scheduler.broker import Broker, State
from scheduler.fires import Fires
from scheduler.forgotten import Forgotten
from scheduler.new_pairs import NewPairs
from scheduler.old_results import OldResults
from scheduler.run_requests import RunRequests
from scheduler.settings import Settings

log = logging.getLogger(__name__)

LISTEN = "LISTEN metrics_executions"
# A PostgreSQL that crashes may lose what was recorded within the last second. Then a moment is sent twice, or a pair
# settled again, as after a crash of the scheduler; and nobody has to wait for the disk.
RECORD_SOON = "SET synchronous_commit = off"
LOOK_EVERY = 3.0  # seconds; a standby takes a leader that is silent for longer (leadership.SILENCE) for dead
CLEAN_UP_EVERY = 300.0  # seconds
MINUTE = timedelta(minutes=1)  # no pair has two moments within it
SOON = timedelta(seconds=0.05)  # so shortly before a moment, no portion of new pairs is begun
LULL = timedelta(seconds=1)  # cleaning up takes less


class Leader:
    """A session of the leader. It keeps no schedules: each turn looks at what PostgreSQL says."""

    def __init__(self, database: connection, broker: Broker, settings: Settings, name: str) -> None:
        """Take over on a connection that holds the leader's lock."""
        # Listen first, then look: what is committed in between is heard, or seen.
        store.execute(database, LISTEN)
        store.execute(database, RECORD_SOON)
        store.note_lead(database, name)
        self._database = database
        self._broker = broker
        self._queue_limit = settings.queue_limit
        self._name = name
        self._fires = Fires(database, broker, settings, name)
        self._forgotten = Forgotten(database, broker, settings)
        self._new_pairs = NewPairs(database)
        self._run_requests = RunRequests(database, broker, self._forgotten, settings)
        self._old_results = OldResults(database, settings)
        self._look: store.Look | None = None
        self._error: str | None = None
        self._noted_error: str | None = None
        self._noted_at = self._cleaned_up = time.monotonic()
        self._pause = LOOK_EVERY

    def turn(self) -> None:
        """Do the most urgent thing, or wait until there is one."""
        if not self.step():
            self._wait()

    def step(self) -> bool:
        """Do the most urgent thing; False if there is nothing to do before the next moment or announcement."""
        self._hear()
        look = self._look = store.look(self._database)
        done = self._send(look) or (_is_free(look, SOON) and self._new_pairs.settle(look.now))
        if self._error != self._noted_error or time.monotonic() - self._noted_at >= LOOK_EVERY:
            self.note(self._error)
        return done or self._clean_up(look)

    def note(self, error: str | None) -> None:
        """Note that this scheduler leads and looks, and what keeps it from sending."""
        store.note_look(self._database, self._name, error)
        self._noted_error, self._noted_at = error, time.monotonic()

    def _send(self, look: store.Look) -> bool:
        """Send one thing; False if there is nothing that can be sent."""
        state = self._broker.state()
        if self._forgotten.compare(state.marker):
            self._run_requests.send_again()
        self._error = self._obstacle(state)
        if self._error:
            # What is due stays due; later, its latest moment stands in for all of them.
            return False
        if look.due_at is not None and look.due_at > look.now - MINUTE:
            return self._fire(look.due_at, look.now)
        if look.requested and self._run_requests.send():
            return True
        if look.due_at is not None:
            folded = self._fires.fold(look.now - MINUTE, look.now) or self._fires.skip(look.due_at, look.now)
            return folded or self._fire(look.due_at, look.now)
        return self._forgotten.send(look.now)

    def _obstacle(self, state: State) -> str | None:
        """Return what keeps messages from being added."""
        if state.waiting > self._queue_limit:
            return f"{state.waiting} messages wait in Redis; QUEUE_LIMIT is {self._queue_limit}"
        if state.full:
            return f"Redis is nearly full: {state.used_memory} of {state.maxmemory} bytes (maxmemory) are in use"
        return None

    def _fire(self, due_at: datetime, now: datetime) -> bool:
        # A snapshot: a pair that somebody adds while the models are sent is not taken for sent.
        with store.snapshot(self._database):
            sent = self._fires.send(due_at, now)
            ended = self._forgotten.sent()
            pairs = self._fires.pairs(due_at)
        # Recorded last: a crash in between repeats messages, and the workers know a repeated one by (model, moment).
        # The other order would lose them.
        self._fires.record(due_at, pairs, sent, now, ended)
        return True

    def _hear(self) -> None:
        self._database.poll()
        for notify in self._database.notifies:
            self._new_pairs.hear(notify.payload)
        self._database.notifies.clear()

    def _clean_up(self, look: store.Look) -> bool:
        """Do a part of it, now and then; False if there is no more to do at once."""
        self._pause = LOOK_EVERY
        if not _is_free(look, LULL):
            return False
        if time.monotonic() - self._cleaned_up < CLEAN_UP_EVERY:
            self._pause = min(LOOK_EVERY, self._old_results.delete_some())
            return False
        if self._new_pairs.delete_unused():
            return True
        self._fires.retire_old()
        self._cleaned_up = time.monotonic()
        return False

    def _wait(self) -> None:
        seconds = self._pause
        if self._look is not None and self._look.next_due_at is not None:
            now = store.now(self._database)  # the look may be some milliseconds old
            seconds = min(seconds, max(0.0, (self._look.next_due_at - now).total_seconds()))
        # A NOTIFY that came with the answer to a query is in the list, and the socket stays silent about it.
        self._database.poll()
        if not self._database.notifies:
            select.select([self._database], [], [], seconds)


def _is_free(look: store.Look, duration: timedelta) -> bool:
    """Whether no moment comes within the duration."""
    return look.next_due_at is None or look.next_due_at - look.now >= duration
