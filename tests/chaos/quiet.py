"""Waiting until the system has done everything that it ever will."""

import logging
from time import monotonic
from typing import Any

import psycopg2
import redis

from core.queue.keys import QUEUE
from core.results.keys import results_key
from devstack.process import wait_until
from tests.chaos.evidence import CRON, ZONES
from tests.chaos.stack import Stack
from tests.support.databases import rows

log = logging.getLogger("chaos")

QUEUES = QUEUE, f"{QUEUE}:taken", "unacked", "unacked_index"  # an empty key does not exist
SETTLED = 5.0  # seconds without any change
READING = 20.0  # seconds; no minute may pass while the ledger is read

# The pairs that are not late, the second of the minute, and the models.
STATE = """
    SELECT count(*), extract(second FROM public.schedule_now())::float,
        ARRAY(SELECT model_id::text FROM metrics_executions WHERE name = 'counted')
    FROM crons WHERE cron_expression = %s AND next_due_at > public.schedule_now()
"""


def wait_for_quiet(stack: Stack, seconds: float) -> bool:
    """Return when all is done, with time left before the next minute; False if that takes too long."""
    seen = -1
    since = monotonic()

    def is_quiet() -> bool:
        nonlocal seen, since
        try:
            queues, pairs, results, second = look(stack)
        except (psycopg2.Error, redis.RedisError) as error:
            log.info("cannot look: %s", error)
            return False
        if queues or pairs < len(ZONES) or results != seen:
            seen, since = results, monotonic()
        return monotonic() - since > SETTLED < second < 60 - READING

    return wait_until(is_quiet, seconds=seconds, meanwhile=stack.tend)


def left(stack: Stack) -> str:
    """Return what is still there, in words."""
    with stack.owner() as db, stack.client() as client:
        [(pairs, _, _)] = rows(db, STATE, CRON)
        waiting, taken = client.llen(QUEUE), client.hlen("unacked")
    return f"{waiting} messages wait, {taken} are taken, {len(ZONES) - pairs} pairs are late"


def look(stack: Stack) -> tuple[int, int, int, float]:
    """Return how many queues are not empty, how many pairs are not late, the results, and the clock's second."""
    with stack.owner() as db:
        [(pairs, second, models)] = rows(db, STATE, CRON)
    with stack.client() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.exists(*QUEUES)
        for model_id in models:
            pipeline.zcard(results_key(model_id))
        answers: list[Any] = pipeline.execute()
    return answers[0], pairs, sum(answers[1:]), second
