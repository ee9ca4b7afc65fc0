"""Delay of the messages when many models are due at once: python -m benchmarks.fires [--runs N].

Real servers, a million schedules in 36,000 cron specs, the scheduler, and no worker. Models and messages are counted: a
wrong number ends the benchmark.
"""

import time
from datetime import datetime, timedelta
from typing import NamedTuple

from benchmarks import simulated_clock
from benchmarks.measurements import Measurements, Options, run_benchmark
from benchmarks.million_schedules import MODELS, SPECS, fill, make_due, peak_mib, reset, start_scheduler
from benchmarks.stack import Stack, running
from core.queue.keys import QUEUE
from tests.support.databases import fetch_all, fetch_value, wait_for

LEAD = timedelta(seconds=1)  # from setting the clock to the due time
POLL_INTERVAL = 0.001  # seconds


class Case(NamedTuple):
    """Cron specs that are due at the same time."""

    label: str
    first: int
    last: int
    first_message_goal: str  # milliseconds
    last_message_goal: str  # seconds


class Delays(NamedTuple):
    """Delays of the messages in Redis after the due time."""

    first_message: float  # milliseconds
    last_message: float  # seconds


CASES = (
    Case("10,000 models", 0, 0, "at most 20", "at most 0.2"),
    Case("100,000 models", 0, 1, "at most 20", "at most 1.2"),
    Case("1,000,000 models in 36,000 cron specs", 0, SPECS - 1, "at most 50", "at most 12"),
    Case("125,000 models in 5,000 cron specs", 2, 5001, "at most 50", ""),
)
DUE_MODELS = "SELECT count(*) FROM due_models(%s)"
UNRECORDED_SPECS = "SELECT count(*) FROM crons WHERE next_due_at = %s"
UNUSED_DUE_TIME = """
    SELECT date_trunc('minute', greatest(schedule_now(), max(due_at))) + interval '3 min' FROM fires
"""
FIRE = """
    SELECT models, messages, extract(epoch FROM finished_at - due_at)::float8 FROM fires WHERE due_at = %s
"""


def benchmark(measurements: Measurements, options: Options) -> None:
    """Measure each case; the very first run, with empty caches, counts too."""
    with running() as stack:
        measurements.describe_environment(stack.db)
        fill(stack, options.scaled(MODELS), options.scaled(SPECS))
        scheduler = start_scheduler(stack)
        for case in CASES:
            last = max(case.first, options.scaled(case.last - case.first + 1) + case.first - 1)
            fires = [fire(stack, case.first, last) for _ in range(options.runs)]
            first_messages = [delays.first_message for delays in fires]
            measurements.add(f"{case.label}: first message", "ms", first_messages, case.first_message_goal)
            last_messages = [delays.last_message for delays in fires]
            measurements.add(f"{case.label}: last message", "s", last_messages, case.last_message_goal)
        measurements.add("peak memory of the scheduler", "MiB", [peak_mib(scheduler)], "at most 70")
        assert not stack.unexpected_exits(), stack.last_output()


def fire(stack: Stack, first: int, last: int) -> Delays:
    """Make these cron specs due, measure, and empty the queue."""
    due_at: datetime = fetch_value(stack.db, UNUSED_DUE_TIME)
    make_due(stack.db, due_at, first, last)
    due: int = fetch_value(stack.db, DUE_MODELS, due_at)
    due_time = simulated_clock.set_before(stack.db, due_at, LEAD)
    first_delay = wait_for_message(stack) - due_time.real_time
    [(models, messages, last_delay)] = wait_for(lambda: fetch_all(stack.db, FIRE, due_at), seconds=120)
    queued = stack.client.llen(QUEUE)
    if not models == due > 0 or queued != messages:
        raise AssertionError(f"{due} models due, {models} sent in {messages} messages, {queued} messages in the queue")
    wait_for(lambda: not fetch_value(stack.db, UNRECORDED_SPECS, due_at), seconds=60)
    stack.client.delete(QUEUE)
    reset(stack.db)
    return Delays(first_delay * 1000, last_delay)


def wait_for_message(stack: Stack) -> float:
    """Return when the first message is in the queue; the value is the time of Redis in epoch seconds."""
    while True:
        with stack.client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.llen(QUEUE)
            (seconds, microseconds), waiting = pipeline.execute()
        if waiting:
            return float(seconds + microseconds / 1e6)
        time.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    run_benchmark("fires", __doc__, benchmark)
