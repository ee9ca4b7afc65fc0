"""Detection of the idle system: nothing is left to publish or calculate."""

import logging
from time import monotonic
from typing import NamedTuple

import psycopg2
import redis

from core.queue.keys import QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, UNACKED_KEY
from core.results.keys import results_key
from devstack.process import wait_until
from tests.chaos import counted_models
from tests.chaos.system import SystemUnderTest
from tests.support.databases import fetch_value

log = logging.getLogger("chaos")

QUEUE_KEYS = QUEUE, TAKEN_KEY, UNACKED_KEY, UNACKED_INDEX_KEY  # an empty key does not exist
STABLE_TIME = 5.0  # seconds without any change
COLLECTION_TIME = 20.0  # seconds; no minute may pass while the observations are collected

SCHEDULED_SPECS = "SELECT count(*) FROM crons WHERE cron_expression = %s AND next_due_at > public.schedule_now()"
SECOND = "SELECT extract(second FROM public.schedule_now())::float"


class Progress(NamedTuple):
    """Progress of the system at one time."""

    queue_keys: int
    scheduled_specs: int  # cron specs of counted models without a due time to be published
    results: int
    second: float  # of the clock's minute


def wait_until_idle(system: SystemUnderTest, timeout: float) -> bool:
    """Wait until the system is idle, with time left before the next minute; False at the timeout."""
    results = -1
    stable_since = monotonic()

    def is_idle() -> bool:
        nonlocal results, stable_since
        try:
            progress = read_progress(system)
        except (psycopg2.Error, redis.RedisError) as error:
            log.info("progress not read: %s", error)
            return False
        is_pending = progress.queue_keys or progress.scheduled_specs < len(counted_models.TIME_ZONES)
        if is_pending or progress.results != results:
            results, stable_since = progress.results, monotonic()
        return monotonic() - stable_since > STABLE_TIME < progress.second < 60 - COLLECTION_TIME

    return wait_until(is_idle, seconds=timeout, meanwhile=system.supervise)


def describe_pending(system: SystemUnderTest) -> str:
    """Return the pending messages and due times as text."""
    with system.owner() as db, system.redis_client() as client:
        overdue = len(counted_models.TIME_ZONES) - fetch_value(db, SCHEDULED_SPECS, counted_models.CRON)
        waiting, received = client.llen(QUEUE), client.hlen(UNACKED_KEY)
    return f"{waiting} messages in the queue, {received} received by workers, {overdue} cron specs overdue"


def read_progress(system: SystemUnderTest) -> Progress:
    with system.owner() as db:
        scheduled_specs = fetch_value(db, SCHEDULED_SPECS, counted_models.CRON)
        second = fetch_value(db, SECOND)
        model_ids = counted_models.model_ids(db)
    with system.redis_client() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.exists(*QUEUE_KEYS)
        for model_id in model_ids:
            pipeline.zcard(results_key(model_id))
        queue_keys, *results = pipeline.execute()
    return Progress(queue_keys, scheduled_specs, sum(results), second)
