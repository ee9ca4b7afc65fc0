"""A scheduler that leads whoever else does, as one that was stopped for long and wakes up: python -m."""

import runpy

from psycopg2.extensions import connection

import scheduler.beat


def lead_anyway(database: connection) -> bool:
    return True


if __name__ == "__main__":
    scheduler.beat.try_to_lead = lead_anyway  # type: ignore[attr-defined]  # beat imports it from leadership
    runpy.run_module("scheduler", run_name="__main__")
