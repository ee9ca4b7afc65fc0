"""Iterations of the leader: each runs the most urgent task, or waits if there is none."""

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
from scheduler.queries import DueState
from scheduler.queue import Queue, QueueState
from scheduler.settings import Settings
from scheduler.task_runner import TaskRunner
from scheduler.tasks.clock_recovery import ClockRecovery
from scheduler.tasks.due_runs import DueRuns
from scheduler.tasks.fires_retention import retire_future_fires, retire_old_fires
from scheduler.tasks.missed_runs import MissedRuns
from scheduler.tasks.next_runs import NextRuns
from scheduler.tasks.redis_recovery import RedisRecovery
from scheduler.tasks.results_retention import ResultsRetention
from scheduler.tasks.run_requests import RunRequests
from scheduler.tasks.unused_specs import UnusedSpecs

log = logging.getLogger(__name__)

LISTEN = "LISTEN metrics_executions"
# If PostgreSQL crashes, it may lose the records of the last second. Then a due time is published twice, or a next due
# time calculated again, as after a crash of the scheduler; in exchange, no statement waits for the disk.
ASYNCHRONOUS_COMMIT = "SET synchronous_commit = off"
HEARTBEAT_INTERVAL = 3.0  # seconds; less than leader_election.LEADER_TIMEOUT
MINUTE = timedelta(minutes=1)  # a cron spec has at most one due time within it
BATCH_TIME = timedelta(seconds=0.05)  # a batch of less urgent work is not started so shortly before a due time
CLEANUP_TIME = timedelta(seconds=1)  # the same for cleanup
NOTIFY_DELAY = timedelta(seconds=2)  # within it, PostgreSQL delivers a notification to a session that waits for it


class Task(NamedTuple):
    """One of the tasks that the leader alternates between."""

    name: str
    run: Callable[[DueState], bool]  # does a batch; False if there is nothing to do
    publishes: bool = False  # not while Redis is too full


class Leader:
    """The work of a scheduler while it is the leader. It stores no schedules: each iteration reads the due state.

    A task that fails backs off by itself, and the others run in the same iteration.
    """

    def __init__(
        self, database: connection, queue: Queue, settings: Settings, name: str, *, cleanup_interval: float = 300.0
    ) -> None:
        """Take over, on a connection that holds the leader lock; clean up every cleanup_interval seconds."""
        # LISTEN before the first query: a commit in between is either notified or visible.
        queries.execute(database, LISTEN)
        queries.execute(database, ASYNCHRONOUS_COMMIT)
        self._database = database
        self._queue = queue
        self._queue_limit = settings.queue_limit
        self._cleanup_interval = cleanup_interval
        self._name = name
        self._runner = TaskRunner(database)
        self._cleanup_runner = TaskRunner(database)  # its failures are no reason to resign
        self._redis_recovery = RedisRecovery(database, queue, settings)
        self._due_runs = DueRuns(database, queue, self._redis_recovery, settings, name)
        self._missed_runs = MissedRuns(database, settings, name)
        self._next_runs = NextRuns(database)
        self._run_requests = RunRequests(database, queue, self._redis_recovery, settings)
        self._results_retention = ResultsRetention(database, settings)
        self._clock_recovery = ClockRecovery(database, queries.last_heartbeat(database))
        queries.record_leadership(database, name)
        # A task that did a batch goes to the end, so that none has to wait until another one has finished.
        self._tasks = deque(
            [
                Task("requested runs", self._send_requested, publishes=True),
                Task("missed runs", self._send_missed, publishes=True),
                Task("Redis recovery", lambda due: self._redis_recovery.send_some(due.now), publishes=True),
                Task("records of fires", lambda _: self._due_runs.record_sent()),
                Task(
                    "next due times", lambda due: _has_time(due, BATCH_TIME) and self._next_runs.calculate_some(due.now)
                ),
                Task("cleared requests", self._clear_requests),
                Task("clock recovery", lambda due: _has_time(due, BATCH_TIME) and self._clock_recovery.correct_some()),
            ]
        )
        unused_specs = UnusedSpecs(database)
        self._cleanup_tasks = (
            Task("deletion of unused cron specs", lambda _: unused_specs.delete_some()),
            Task("deletion of old run requests", lambda _: self._run_requests.delete_old()),
            Task("deletion of stale failures", lambda _: queue.delete_stale_failures()),
            Task("deletion of old fires", lambda _: retire_old_fires(database, settings.fires_retention)),
        )
        self._remaining_cleanup: list[Task] = []
        self._due: DueState | None = None
        self._obstacle: str | None = None
        self._recorded_error: str | None = None
        self._heartbeat_at = self._cleaned_up_at = time.monotonic()
        self._max_wait = HEARTBEAT_INTERVAL

    def run_once(self) -> None:
        """Run the most urgent task, or wait until there is one."""
        if not self.step():
            self._wait()

    def step(self) -> bool:
        """Run the most urgent task; False if there is none before the next due time or notification."""
        previous = self._due
        due = self._due = queries.read_due_state(self._database, self._due_runs.unrecorded)
        was_notified = self._drain_notifications(previous)
        self._runner.run("clock", lambda: self._check_clock(due))
        has_worked = self._work(due)
        error = self._obstacle or self._runner.error
        if error != self._recorded_error or time.monotonic() - self._heartbeat_at >= HEARTBEAT_INTERVAL:
            self._runner.run("heartbeat", lambda: self.record_heartbeat(error))
        # The next due state includes what was notified after this one.
        return has_worked or was_notified or self._clean_up(due)

    @property
    def failing_for(self) -> float:
        """Seconds for which a task has failed for a reason that may be specific to this process."""
        return self._runner.failing_for

    def record_heartbeat(self, error: str | None) -> bool:
        """Record that this scheduler leads, and what keeps it from publishing. Returns True."""
        queries.record_heartbeat(self._database, self._name, error)
        self._recorded_error, self._heartbeat_at = error, time.monotonic()
        return True

    def _work(self, due: DueState) -> bool:
        """Publish due runs, or run another task; False if there is nothing to do."""
        can_publish = self._runner.run("state of Redis", self._can_publish)
        if can_publish and self._runner.run("due runs", partial(self._send_due, due)):
            self._runner.run("records of fires", self._due_runs.record_sent)
            return True
        for task in list(self._tasks):
            if (can_publish or not task.publishes) and self._runner.run(task.name, partial(task.run, due)):
                self._tasks.remove(task)
                self._tasks.append(task)
                return True
        return False

    def _send_due(self, due: DueState) -> bool:
        if due.due_at is None or due.due_at <= due.now - MINUTE:
            return False
        return self._due_runs.fire(due.due_at, due.now)

    def _send_requested(self, due: DueState) -> bool:
        return self._run_requests.send_some(has_requests=due.has_requests)

    def _send_missed(self, due: DueState) -> bool:
        """Publish the latest missed due time, or skip earlier ones."""
        if due.due_at is None:
            return False
        return (
            self._missed_runs.skip_next(due.now - MINUTE, due.now, self._due_runs.unrecorded)
            or self._missed_runs.skip(due.due_at, due.now)
            or self._due_runs.fire(due.due_at, due.now)
        )

    def _clear_requests(self, due: DueState) -> bool:
        return _has_time(due, BATCH_TIME) and self._run_requests.clear_some(has_requests=due.has_requests)

    def _can_publish(self) -> bool:
        """Return False if Redis takes no messages; what is due stays due, and is caught up by its latest due time."""
        self._obstacle = None
        state = self._queue.state()
        if self._redis_recovery.detect_loss(state.checkpoint):
            self._run_requests.send_again()
            self._forget_unrecorded()
        self._obstacle = self._obstacle_of(state)
        return self._obstacle is None

    def _obstacle_of(self, state: QueueState) -> str | None:
        """Return the reason not to publish messages."""
        if state.waiting > self._queue_limit:
            return f"{state.waiting} messages wait in Redis; QUEUE_LIMIT is {self._queue_limit}"
        if state.is_full:
            return f"Redis is nearly full: {state.used_memory} of {state.maxmemory} bytes (maxmemory) are in use"
        return None

    def _forget_unrecorded(self) -> None:
        self._due_runs.reset()
        self._missed_runs.reset()

    def _drain_notifications(self, previous: DueState | None) -> bool:
        """Handle the notifications since the previous due state, committed after it; False if there are none.

        Each is removed before it is handled, so that a malformed one cannot come again.
        """
        committed_after = previous and previous.now - NOTIFY_DELAY
        self._database.poll()
        was_notified = bool(self._database.notifies)
        while self._database.notifies:
            self._next_runs.on_notify(self._database.notifies.pop(0).payload, committed_after)
        return was_notified

    def _check_clock(self, due: DueState) -> bool:
        if not self._clock_recovery.was_set_back(due.now):
            return False
        self._clock_recovery.reset(due.now)
        self._forget_unrecorded()
        retire_future_fires(self._database, due.now)
        self._redis_recovery.reset()
        self._next_runs.scan_again()
        self._clock_recovery.finish(due.now)
        return True

    def _clean_up(self, due: DueState) -> bool:
        """Run one cleanup task, from time to time; False if there is no more to do now."""
        self._max_wait = HEARTBEAT_INTERVAL
        if not _has_time(due, CLEANUP_TIME):
            return False
        if not self._remaining_cleanup:
            if time.monotonic() - self._cleaned_up_at < self._cleanup_interval:
                return self._cleanup_runner.run("deletion of old rows of results", self._delete_old_results)
            self._remaining_cleanup, self._cleaned_up_at = list(self._cleanup_tasks), time.monotonic()
        task = self._remaining_cleanup[0]
        if not self._cleanup_runner.run(task.name, partial(task.run, due)):
            self._remaining_cleanup.remove(task)
        return bool(self._remaining_cleanup)

    def _delete_old_results(self) -> bool:
        self._max_wait = min(HEARTBEAT_INTERVAL, self._results_retention.delete_some())
        return False

    def _wait(self) -> None:
        retry_in = self._runner.retry_in
        seconds = self._max_wait if retry_in is None else min(self._max_wait, retry_in)
        if self._due is not None and self._due.next_due_at is not None:
            now = queries.now(self._database)  # the due state may be some milliseconds old
            seconds = min(seconds, max(0.0, (self._due.next_due_at - now).total_seconds()))
        # A notification that came with the result of a query is in the list, and does not make the socket readable.
        self._database.poll()
        if not self._database.notifies:
            select.select([self._database], [], [], seconds)


def _has_time(due: DueState, duration: timedelta) -> bool:
    """Return True if there is no due time within the duration."""
    return due.next_due_at is None or due.next_due_at - due.now >= duration
