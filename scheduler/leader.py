"""The leader's turns: each runs the most urgent task, and waits where there is nothing to do."""

import logging
import select
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from psycopg2.extensions import connection

from scheduler import queries
from scheduler.queue import Broker, State
from scheduler.settings import Settings
from scheduler.task_runner import TaskRunner
from scheduler.tasks.clock_recovery import ClockRecovery
from scheduler.tasks.due_runs import Fires
from scheduler.tasks.next_runs import NewPairs
from scheduler.tasks.redis_recovery import Forgotten
from scheduler.tasks.results_retention import OldResults
from scheduler.tasks.run_requests import RunRequests

log = logging.getLogger(__name__)

LISTEN = "LISTEN metrics_executions"
# A PostgreSQL that crashes may lose what was recorded within the last second. Then a moment is sent twice, or a pair
# settled again, as after a crash of the scheduler; and nobody has to wait for the disk.
RECORD_SOON = "SET synchronous_commit = off"
LOOK_EVERY = (
    3.0  # seconds; a standby takes a leader that is silent for longer (leader_election.LEADER_TIMEOUT) for dead
)
CLEAN_UP_EVERY = 300.0  # seconds
MINUTE = timedelta(minutes=1)  # no pair has two moments within it
SOON = timedelta(seconds=0.05)  # so shortly before a moment, no portion of new pairs is begun
LULL = timedelta(seconds=1)  # cleaning up takes less
DELIVERY = timedelta(seconds=2)  # in less, PostgreSQL delivers a notification to a session that waits for it


class Task(NamedTuple):
    """A part of the leader's work."""

    name: str
    run: Callable[[queries.Look], bool]  # does a portion; False where there is nothing to do
    sends: bool = False  # it adds messages, which Redis may be too full for


class Leader:
    """A session of the leader. It keeps no schedules: each turn looks at what PostgreSQL says.

    A task that fails backs off by itself, and the others run in the same turn.
    """

    def __init__(self, database: connection, broker: Broker, settings: Settings, name: str) -> None:
        """Take over on a connection that holds the leader's lock."""
        # Listen first, then look: what is committed in between is heard, or seen.
        queries.execute(database, LISTEN)
        queries.execute(database, RECORD_SOON)
        self._database = database
        self._broker = broker
        self._queue_limit = settings.queue_limit
        self._name = name
        self._runner = TaskRunner(database)
        self._housekeeper = TaskRunner(database)  # its failures keep nothing from being sent
        self._forgotten = Forgotten(database, broker, settings)
        self._fires = Fires(database, broker, self._forgotten, settings, name)
        self._new_pairs = NewPairs(database)
        self._run_requests = RunRequests(database, broker, self._forgotten, settings)
        self._old_results = OldResults(database, settings)
        self._clock_recovery = ClockRecovery(database, queries.looked_at(database))
        queries.note_lead(database, name)
        # Each does one portion; after it, the others come first, so that none has to wait for the end of another.
        self._tasks = deque(
            [
                Task("requested runs", lambda look: self._run_requests.send(requested=look.requested), sends=True),
                Task("missed runs", self._send_missed, sends=True),
                Task("recovery of Redis", lambda look: self._forgotten.send(look.now), sends=True),
                Task("records of fires", lambda _: self._fires.record_sent()),
                Task("new pairs", lambda look: _is_free(look, SOON) and self._new_pairs.settle(look.now)),
                Task(
                    "cleared requests",
                    lambda look: _is_free(look, SOON) and self._run_requests.clear(requested=look.requested),
                ),
                Task(
                    "recovery of the clock", lambda look: _is_free(look, SOON) and self._clock_recovery.correct_some()
                ),
            ]
        )
        self._cleaning = (
            Task("deletion of unused pairs", lambda _: self._new_pairs.delete_unused()),
            Task("deletion of old run requests", lambda _: self._run_requests.delete_old()),
            Task("deletion of stale failures", lambda _: broker.delete_stale_failures()),
            Task("deletion of old fires", lambda _: self._fires.retire_old()),
        )
        self._to_clean: list[Task] = []  # what is left of a round
        self._look: queries.Look | None = None
        self._obstacle: str | None = None
        self._noted_error: str | None = None
        self._noted_at = self._cleaned_up = time.monotonic()
        self._pause = LOOK_EVERY

    def turn(self) -> None:
        """Do the most urgent thing, or wait until there is one."""
        if not self.step():
            self._wait()

    def step(self) -> bool:
        """Do the most urgent thing; False if there is nothing to do before the next moment or announcement."""
        previous = self._look
        look = self._look = queries.look(self._database, self._fires.unrecorded)
        has_heard = self._hear(previous)
        self._runner.run("clock", lambda: self._check_clock(look))
        done = self._work(look)
        error = self._obstacle or self._runner.error
        if error != self._noted_error or time.monotonic() - self._noted_at >= LOOK_EVERY:
            self._runner.run("heartbeat", lambda: self.note(error))
        # What was announced after the look is in the next one.
        return done or has_heard or self._clean_up(look)

    @property
    def failing_for(self) -> float:
        """Seconds since when a task has failed for a reason that may be this process's own."""
        return self._runner.failing_for

    def note(self, error: str | None) -> bool:
        """Note that this scheduler leads and looks, and what keeps it from sending."""
        queries.note_look(self._database, self._name, error)
        self._noted_error, self._noted_at = error, time.monotonic()
        return True

    def _work(self, look: queries.Look) -> bool:
        """Send what is due, or run another task; False if there is nothing to do."""
        can_send = self._runner.run("state of Redis", self._can_send)
        if can_send and self._runner.run("due runs", partial(self._send_due, look)):
            self._runner.run("records of fires", self._fires.record_sent)
            return True
        for task in list(self._tasks):
            if (can_send or not task.sends) and self._runner.run(task.name, partial(task.run, look)):
                self._tasks.remove(task)
                self._tasks.append(task)
                return True
        return False

    def _send_due(self, look: queries.Look) -> bool:
        if look.due_at is None or look.due_at <= look.now - MINUTE:
            return False
        return self._fires.fire(look.due_at, look.now)

    def _can_send(self) -> bool:
        """Return False where Redis takes no messages; what is due stays due, and its latest moment stands for all."""
        self._obstacle = None
        state = self._broker.state()
        if self._forgotten.compare(state.marker):
            self._run_requests.send_again()
            self._fires.reset()
        self._obstacle = self._obstacle_of(state)
        return self._obstacle is None

    def _obstacle_of(self, state: State) -> str | None:
        """Return what keeps messages from being added."""
        if state.waiting > self._queue_limit:
            return f"{state.waiting} messages wait in Redis; QUEUE_LIMIT is {self._queue_limit}"
        if state.full:
            return f"Redis is nearly full: {state.used_memory} of {state.maxmemory} bytes (maxmemory) are in use"
        return None

    def _send_missed(self, look: queries.Look) -> bool:
        """Send the latest moment that was missed, or count those that later ones stand in for."""
        due_at, now = look.due_at, look.now
        if due_at is None:
            return False
        return self._fires.fold(now - MINUTE, now) or self._fires.skip(due_at, now) or self._fires.fire(due_at, now)

    def _hear(self, previous: queries.Look | None) -> bool:
        """Read the notifications that came since the previous look, and so were committed after it; False without any.

        Each is taken out before it is read: what it holds must not come again.
        """
        committed_after = previous and previous.now - DELIVERY
        self._database.poll()
        has_heard = bool(self._database.notifies)
        while self._database.notifies:
            self._new_pairs.hear(self._database.notifies.pop(0).payload, committed_after)
        return has_heard

    def _check_clock(self, look: queries.Look) -> bool:
        if not self._clock_recovery.has_come_back(look.now):
            return False
        self._clock_recovery.reset(look.now)
        self._fires.recover_clock(look.now)
        self._forgotten.reset()
        self._new_pairs.walk_again()
        self._clock_recovery.finish(look.now)
        return True

    def _clean_up(self, look: queries.Look) -> bool:
        """Do a part of it, now and then; False if there is no more to do at once."""
        self._pause = LOOK_EVERY
        if not _is_free(look, LULL):
            return False
        if not self._to_clean:
            if time.monotonic() - self._cleaned_up < CLEAN_UP_EVERY:
                return self._housekeeper.run("deletion of old results", self._delete_old_results)
            self._to_clean, self._cleaned_up = list(self._cleaning), time.monotonic()
        task = self._to_clean[0]
        if not self._housekeeper.run(task.name, partial(task.run, look)):
            self._to_clean.remove(task)
        return bool(self._to_clean)

    def _delete_old_results(self) -> bool:
        self._pause = min(LOOK_EVERY, self._old_results.delete_some())
        return False

    def _wait(self) -> None:
        retry_in = self._runner.retry_in
        seconds = self._pause if retry_in is None else min(self._pause, retry_in)
        if self._look is not None and self._look.next_due_at is not None:
            now = queries.now(self._database)  # the look may be some milliseconds old
            seconds = min(seconds, max(0.0, (self._look.next_due_at - now).total_seconds()))
        # A NOTIFY that came with the answer to a query is in the list, and the socket stays silent about it.
        self._database.poll()
        if not self._database.notifies:
            select.select([self._database], [], [], seconds)


def _is_free(look: queries.Look, duration: timedelta) -> bool:
    """Return True if no moment comes within the duration."""
    return look.next_due_at is None or look.next_due_at - look.now >= duration
