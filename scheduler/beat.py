"""Scheduler class for celery beat, with PostgreSQL as its only source of schedules."""

import logging
import os
import socket
import time
from contextlib import suppress
from typing import Any

import psycopg2
from celery.beat import Scheduler
from celery.exceptions import ImproperlyConfigured
from psycopg2.extensions import connection

from core import postgres
from core.leader_lock import APPLICATION_NAME, LockHolder, lock_holder
from core.redis import create_client
from scheduler.leader import Leader
from scheduler.leader_election import has_standby, try_to_lead
from scheduler.queue import REDIS_ERRORS, Queue
from scheduler.settings import settings
from scheduler.task_runner import backoff, describe

log = logging.getLogger(__name__)

ELECTION_INTERVAL = 1.0  # seconds between two attempts of a standby to become the leader
RESIGNED_TIME = 3.0  # seconds before a leader that has resigned tries to lead again


class DatabaseScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Runs the schedules of metrics_executions, and no others.

    Relies on beat to call tick() again as soon as it returns 0, and to handle signals by raising SystemExit inside
    tick().
    """

    resign_after: float = 15.0  # seconds for which a task has failed; a standby may succeed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create the scheduler; it connects at its first tick."""
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._database: connection | None = None
        self._leader: Leader | None = None
        self._failures = 0
        self._failing_since: float | None = None  # by time.monotonic()
        self._blocked_by: LockHolder | None = None
        super().__init__(*args, **kwargs)
        self._queue = Queue(create_client(settings().redis_url))

    def setup_schedule(self) -> None:
        """Refuse entries of beat_schedule: this scheduler would never run them."""
        if self.app.conf.beat_schedule:
            names = ", ".join(sorted(self.app.conf.beat_schedule))
            raise ImproperlyConfigured(
                f"beat_schedule holds {names}: this scheduler runs the rows of metrics_executions only."
                " Start Celery's own beat for them."
            )

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ARG002  # beat calls it with none
        """Run one iteration, which waits if there is nothing to do: beat's own sleep cannot be interrupted.

        Only a signal ends the process.
        """
        try:
            self._run_once()
        except (psycopg2.Error, *REDIS_ERRORS) as error:
            self._back_off(describe(error))
        except SystemExit:
            self._disconnect()
            raise
        except Exception as error:
            log.exception("scheduler iteration failed")
            self._back_off(describe(error))
        else:
            if self._failures:
                log.warning("recovered, scheduling resumed")
            self._failures, self._failing_since = 0, None
        return 0.0

    def _run_once(self) -> None:
        if self._leader is not None:
            self._leader.run_once()
            self._resign_if(self._leader.failing_for)
            return
        if self._database is None:
            self._database = postgres.connect(settings().database_url, APPLICATION_NAME + self._name)
        if self.try_to_lead(self._database):
            self._leader = Leader(self._database, self._queue, settings(), self._name)
            self._blocked_by = None
            log.info("%s is the leader", self._name)
            self._check_queue()
        else:
            self._log_blocked(self._database)
            time.sleep(ELECTION_INTERVAL)

    def try_to_lead(self, database: connection) -> bool:
        """Take the leader lock; False if another session holds it."""
        return try_to_lead(database)

    def _check_queue(self) -> None:
        with suppress(*REDIS_ERRORS):  # the next iteration records it
            self._queue.check()

    def _log_blocked(self, database: connection) -> None:
        """Log, once, that a session that is no scheduler holds the leader lock."""
        with database.cursor() as cursor:
            holder = lock_holder(cursor)
        if holder and not holder.is_scheduler and holder != self._blocked_by:
            log.error("no scheduler can lead: %s", holder.describe())
        self._blocked_by = holder

    def _back_off(self, reason: str) -> None:
        """Log the error once, record it in the leader row, and wait, longer each time.

        If it cannot be recorded, the session has ended, and with it the leadership. If it can, the cause is a lock or a
        missing privilege, and a new session would not help.
        """
        if not self._failures:
            log.warning("%s", reason)
            self._failing_since = time.monotonic()
        self._failures += 1
        if self._leader is None:
            self._disconnect()
        else:
            try:
                self._leader.record_heartbeat(reason)
                self._resign_if(time.monotonic() - (self._failing_since or time.monotonic()))
            except psycopg2.Error:
                self._disconnect()
        time.sleep(backoff(self._failures))

    def _resign_if(self, failing_for: float) -> None:
        """Disconnect in favour of a standby, if there is one, after failing for too long."""
        if failing_for < self.resign_after or self._database is None or not has_standby(self._database):
            return
        log.warning("%s resigned in favour of a standby: failing for %.0f s", self._name, failing_for)
        self._disconnect()
        time.sleep(RESIGNED_TIME)

    def _disconnect(self) -> None:
        """Close the session, and with it the leadership."""
        self._leader = None
        database, self._database = self._database, None
        if database is not None and not database.closed:
            database.close()
