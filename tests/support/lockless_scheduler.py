"""Scheduler that leads without the leader lock, as a stale leader does: python -m tests.support.lockless_scheduler."""

import runpy

from psycopg2.extensions import connection

import scheduler.beat


def always_lead(database: connection) -> bool:
    return True


if __name__ == "__main__":
    scheduler.beat.try_to_lead = always_lead  # type: ignore[attr-defined]  # beat imports it from leader_election
    runpy.run_module("scheduler", run_name="__main__")
