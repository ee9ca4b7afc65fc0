"""The scheduler class that celery beat runs: PostgreSQL is its only source of schedules."""

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
from scheduler.queue import LOST as BROKER_LOST
from scheduler.queue import Broker
from scheduler.settings import settings
from scheduler.task_runner import describe, pause

log = logging.getLogger(__name__)

STANDBY_PAUSE = 1.0  # seconds between two tries to lead
RESIGN_AFTER = 15.0  # seconds in which a task has failed, again and again; a standby may do better
RESIGNED_PAUSE = 3.0  # seconds that a leader leaves to a standby


class DatabaseScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Runs the schedules of metrics_executions, and no others.

    Relies on beat to call tick() again as soon as it returns 0, and to handle
    signals by raising SystemExit in whatever tick() is doing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the scheduler; it connects at its first tick."""
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._database: connection | None = None
        self._leader: Leader | None = None
        self._failures = 0
        self._failing_since: float | None = None  # by time.monotonic()
        self._blocked_by: LockHolder | None = None
        super().__init__(*args, **kwargs)
        self._broker = Broker(create_client(settings().redis_url))

    def setup_schedule(self) -> None:
        """Refuse what somebody put into beat_schedule: nothing here would ever run it."""
        if self.app.conf.beat_schedule:
            names = ", ".join(sorted(self.app.conf.beat_schedule))
            raise ImproperlyConfigured(
                f"beat_schedule holds {names}: this scheduler runs the rows of metrics_executions only."
                " Start Celery's own beat for them."
            )

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ARG002  # beat calls it with none
        """Do one thing, or wait for one: beat's own sleep could not be woken.

        Nothing but a signal ends the process.
        """
        try:
            self._turn()
        except (psycopg2.Error, *BROKER_LOST) as error:
            self._hold(describe(error))
        except SystemExit:
            self._disconnect()
            raise
        except Exception as error:
            log.exception("a turn of the scheduler failed")
            self._hold(describe(error))
        else:
            if self._failures:
                log.warning("recovered")
            self._failures, self._failing_since = 0, None
        return 0.0

    def _turn(self) -> None:
        if self._leader is not None:
            self._leader.turn()
            self._resign_if(self._leader.failing_for)
            return
        if self._database is None:
            self._database = postgres.connect(settings().database_url, APPLICATION_NAME + self._name)
        if try_to_lead(self._database):
            self._leader = Leader(self._database, self._broker, settings(), self._name)
            self._blocked_by = None
            log.info("%s leads", self._name)
            self._check_broker()
        else:
            self._log_blocked(self._database)
            time.sleep(STANDBY_PAUSE)

    def _check_broker(self) -> None:
        with suppress(*BROKER_LOST):  # the leader's next turn notes it
            self._broker.check()

    def _log_blocked(self, database: connection) -> None:
        """Log, once, that the lock of the leader is held by a session that is no scheduler."""
        with database.cursor() as statements:
            holder = lock_holder(statements)
        if holder and not holder.is_scheduler and holder != self._blocked_by:
            log.error("no scheduler can lead: %s", holder.describe())
        self._blocked_by = holder

    def _hold(self, reason: str) -> None:
        """Say once why nothing is sent, note it where users can see it, and pause, longer each time.

        Where it cannot be noted, the session is at its end, and with it the lead. Where it can, a lock or a missing
        right is in the way, and a new session would not do better.
        """
        if not self._failures:
            log.warning("%s", reason)
            self._failing_since = time.monotonic()
        self._failures += 1
        if self._leader is None:
            self._disconnect()
        else:
            try:
                self._leader.note(reason)
                self._resign_if(time.monotonic() - (self._failing_since or time.monotonic()))
            except psycopg2.Error:
                self._disconnect()
        time.sleep(pause(self._failures))

    def _resign_if(self, failing_for: float) -> None:
        """Leave the lead to a standby, if there is one, where this process has failed for too long."""
        if failing_for < RESIGN_AFTER or self._database is None or not has_standby(self._database):
            return
        log.warning("%s leaves the lead to a standby: it has failed for %.0f s", self._name, failing_for)
        self._disconnect()
        time.sleep(RESIGNED_PAUSE)

    def _disconnect(self) -> None:
        """End the session, and with it the lead."""
        self._leader = None
        database, self._database = self._database, None
        if database is not None and not database.closed:
            database.close()
