"""The scheduler class that celery beat runs: PostgreSQL is its only source of schedules."""

import logging
import os
import random
import socket
import time
from typing import Any

import psycopg2
from celery.beat import Scheduler
from celery.exceptions import ImproperlyConfigured
from psycopg2.extensions import connection

from scheduler.broker import LOST as BROKER_LOST
from scheduler.broker import Broker
from scheduler.leader import Leader
from scheduler.leadership import SESSION, try_to_lead
from scheduler.settings import settings
from worker import postgres, results
from worker.postgres import first_line

log = logging.getLogger(__name__)

STANDBY_PAUSE = 1.0  # seconds between two tries to lead
FIRST_PAUSE = 0.1  # seconds after a lost connection; each further one is twice as long
LONGEST_PAUSE = 1.5  # seconds; with the time limit of connecting, a look within 5 s after an outage


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
        super().__init__(*args, **kwargs)
        self._broker = Broker(results.connect(settings().redis_url))

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
        except psycopg2.Error as error:
            self._hold(f"PostgreSQL: {first_line(error)}")
        except BROKER_LOST as error:
            self._hold(f"Redis: {first_line(error)}")
        except SystemExit:
            self._disconnect()
            raise
        except Exception as error:
            log.exception("a turn of the scheduler failed")
            self._hold(f"{type(error).__name__}: {error}")
        else:
            if self._failures:
                log.warning("goes on")
            self._failures = 0
        return 0.0

    def _turn(self) -> None:
        if self._leader is not None:
            self._leader.turn()
            return
        if self._database is None:
            self._database = postgres.connect(settings().database_url, SESSION + self._name)
        if try_to_lead(self._database):
            self._leader = Leader(self._database, self._broker, settings(), self._name)
            log.info("%s leads", self._name)
            self._broker.check()
        else:
            time.sleep(STANDBY_PAUSE)

    def _hold(self, reason: str) -> None:
        """Say once why nothing is sent, note it where users can see it, and pause, longer each time.

        Where it cannot be noted, the session is at its end, and with it the lead. Where it can, a lock or a missing
        right is in the way, and a new session would not do better.
        """
        if not self._failures:
            log.warning("%s", reason)
        self._failures += 1
        if self._leader is None:
            self._disconnect()
        else:
            try:
                self._leader.note(reason)
            except psycopg2.Error:
                self._disconnect()
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        time.sleep(pause * random.uniform(0.8, 1.0))  # noqa: S311  # not cryptography

    def _disconnect(self) -> None:
        """End the session, and with it the lead."""
        self._leader = None
        database, self._database = self._database, None
        if database is not None and not database.closed:
            database.close()
