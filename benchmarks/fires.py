"""How soon messages are in Redis when many models are due at once: python -m benchmarks.fires [--runs N].

Real servers, a million schedules in 36,000 pairs of cron expression and time zone, the scheduler, and no worker. What
came is counted: a wrong number of models or messages ends the bench.
"""

import time
from datetime import datetime, timedelta
from typing import NamedTuple

from benchmarks.measurements import Figures, Wanted, command
from benchmarks.million_schedules import MODELS, PAIRS, fill, make_due, memory, start_scheduler, tidy
from benchmarks.simulated_clock import approach
from benchmarks.stack import Stack, running
from core.queue.keys import QUEUE
from tests.support.databases import one, rows, wait_for

LEAD = timedelta(seconds=1)  # from the setting of the clock to the moment
POLL = 0.001  # seconds


class Case(NamedTuple):
    """The pairs from a first to a last one, due at the same moment."""

    what: str
    first: int
    last: int
    goals: tuple[str, str]  # of the first message, in milliseconds; of the last one, in seconds


class Fire(NamedTuple):
    """When the messages were in Redis."""

    first: float  # milliseconds after the moment
    last: float  # seconds after the moment


CASES = (
    Case("10,000 models", 0, 0, ("at most 20", "at most 0.2")),
    Case("100,000 models", 0, 1, ("at most 20", "at most 1.2")),
    Case("1,000,000 models in 36,000 pairs", 0, PAIRS - 1, ("at most 50", "at most 12")),
    Case("125,000 models in 5,000 pairs", 2, 5001, ("at most 50", "")),
)
DUE = "SELECT count(*) FROM due_models(%s)"
UNRECORDED = "SELECT count(*) FROM crons WHERE next_due_at = %s"
LATEST = "SELECT date_trunc('minute', greatest(schedule_now(), max(due_at))) + interval '3 min' FROM fires"
FIRED = """
    SELECT models, messages, extract(epoch FROM finished_at - due_at)::float8 FROM fires WHERE due_at = %s
"""


def bench(figures: Figures, wanted: Wanted) -> None:
    """Let each case come due some times; the first time of all, as nothing is loaded yet, counts too."""
    with running() as stack:
        figures.describe(stack.db)
        fill(stack, wanted.size(MODELS), wanted.size(PAIRS))
        scheduler = start_scheduler(stack)
        for case in CASES:
            last = max(case.first, wanted.size(case.last - case.first + 1) + case.first - 1)
            fires = [fire(stack, case.first, last) for _ in range(wanted.runs)]
            figures.add(f"{case.what}: first message", "ms", [each.first for each in fires], case.goals[0])
            figures.add(f"{case.what}: last message", "s", [each.last for each in fires], case.goals[1])
        figures.add("memory of the scheduler, at most", "MiB", [memory(scheduler)], "at most 70")
        assert not stack.exits(), stack.last_words()


def fire(stack: Stack, first: int, last: int) -> Fire:
    """Let these pairs come due, and empty the queue when all is there."""
    due_at: datetime = one(stack.db, LATEST)
    make_due(stack.db, due_at, first, last)
    due: int = one(stack.db, DUE, due_at)
    moment = approach(stack.db, due_at, LEAD)
    first_after = first_message(stack) - moment.comes_at
    [(models, count, last_after)] = wait_for(lambda: rows(stack.db, FIRED, due_at), seconds=120)
    found = stack.client.llen(QUEUE)
    if not models == due > 0 or found != count:
        raise AssertionError(f"{due} models were due; {models} were sent in {count} messages, and {found} came")
    wait_for(lambda: not one(stack.db, UNRECORDED, due_at), seconds=60)
    stack.client.delete(QUEUE)
    tidy(stack.db)
    return Fire(first_after * 1000, last_after)


def first_message(stack: Stack) -> float:
    """Return when the queue had one, by the clock of Redis, in epoch seconds."""
    while True:
        with stack.client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.llen(QUEUE)
            (seconds, microseconds), waiting = pipeline.execute()
        if waiting:
            return float(seconds + microseconds / 1e6)
        time.sleep(POLL)


if __name__ == "__main__":
    command("fires", __doc__, bench)
