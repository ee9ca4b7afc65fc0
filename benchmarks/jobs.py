"""The whole job, from the moment to the last result in Redis: python -m benchmarks.jobs.

Real servers, scheduler and a worker of two processes, all on this machine. Every model is due
at the same moment; each has a fresh row of 1,000 labels, or none since its last result. Then
models with a row of 1,000,000 labels each: one alone, and 100 of them at once. ResultStore are
checked; a wrong one, or one too few, ends the bench.
"""

import random
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.figures import Figures, Wanted, command
from benchmarks.moments import approach
from benchmarks.stack import Stack, running
from core.results.keys import results_key
from core.results.models import Result
from core.results.repository import ResultStore
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import one, rows, run, wait_for
from tests.support.processes import Service, peak_memory

MODELS, LABELS = 20_000, 1000
SHAPES = [  # of other rows, for planning: models, labels, what a label looks like in JSON
    (20_000, 10, "{}"),
    (20_000, 100, "{}"),
    (10_000, 1000, '"class {}"'),
    (4_000, 10_000, "{}"),
    (400, 100_000, "{}"),
]
LARGE_MODELS, LARGE_LABELS = 100, 1_000_000
LEAD = timedelta(seconds=0.5)  # from the setting of the clock to the moment
KINDS = 50  # different arrays of labels among the fresh rows
FIRST = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATIENCE = 300.0  # seconds

SCHEDULE = """
    INSERT INTO metrics_executions (model_id, cron_expression)
    SELECT gen_random_uuid(), '0 * * * *' FROM generate_series(1, %s)
"""
LOG = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT schedule.model_id, kind.y_true::json, kind.y_pred::json, schedule_now()
    FROM metrics_executions AS schedule
    JOIN unnest(%s, %s) WITH ORDINALITY AS kind (y_true, y_pred, number) ON kind.number = 1 + schedule.id %% %s
"""


def bench(figures: Figures, wanted: Wanted) -> None:
    """Measure everything."""
    with running() as stack:
        figures.describe(stack.db)
        jobs = Jobs(stack)
        bench_many(jobs, figures, wanted)
        bench_shapes(jobs, figures, wanted)
        bench_large(jobs, figures, wanted)
        bench_memory(stack, figures, wanted)


def bench_many(jobs: "Jobs", figures: Figures, wanted: Wanted) -> None:
    models = wanted.size(MODELS)
    jobs.schedule(models)
    fresh, unchanged = [], []
    for _ in range(wanted.runs):
        accuracies = jobs.log(LABELS, KINDS)
        fresh.append(jobs.seconds())
        jobs.check(accuracies, LABELS)
        unchanged.append(jobs.seconds())
        jobs.check(accuracies, LABELS)
    for what, took, goal in (
        (f"a fresh row of {LABELS:,} labels", fresh, "at least 1,200"),
        ("the row of its last result", unchanged, "at least 8,000"),
    ):
        name = f"whole job, {models:,} models, each with {what}"
        figures.add(name, "models/s", [models / seconds for seconds in took], goal)


def bench_shapes(jobs: "Jobs", figures: Figures, wanted: Wanted) -> None:
    for full, labels, shape in SHAPES:
        models = wanted.size(full)
        jobs.schedule(models)
        rates = []
        for _ in range(wanted.runs):
            accuracies = jobs.log(labels, min(KINDS, models), shape)
            rates.append(models / jobs.seconds())
            jobs.check(accuracies, labels)
        figures.add(
            f"whole job, {models:,} models, each with a fresh row of {labels:,} labels, such as {shape.format(7)}",
            "models/s",
            rates,
        )


def bench_large(jobs: "Jobs", figures: Figures, wanted: Wanted) -> None:
    models, labels = wanted.size(LARGE_MODELS), wanted.size(LARGE_LABELS)
    jobs.schedule(1)
    before = len(jobs.worker.output)
    alone = []
    for _ in range(wanted.runs):
        accuracies = jobs.log(labels, 1)
        alone.append(jobs.seconds())
        jobs.check(accuracies, labels)
    figures.add(f"a row of {labels:,} labels alone, from the moment to its result", "s", alone, "at most 2")
    jobs.schedule(models)
    together = []
    for _ in range(wanted.runs):
        accuracies = jobs.log(labels, 2)
        together.append(jobs.seconds() / models)
        jobs.check(accuracies, labels)
    figures.add(f"{models} such models at once, each", "s", together, "at most 2")
    back = len(re.findall("requeued|isolated", jobs.worker.output[before:]))
    figures.add("batches of them that were interrupted or given back", "", [back], "at most 0")
    peaks = [(peak_memory(pid) or 0) / 1024 for pid in jobs.pool]
    figures.add("largest memory of a worker's process (VmHWM), meanwhile", "MiB", peaks, "below 600")


def bench_memory(stack: Stack, figures: Figures, wanted: Wanted) -> None:
    """What a result takes in Redis, as real ones are: with many digits, of a long history."""
    chance, took = random.Random(1), []
    for number in range(wanted.runs):
        model_id = f"00000000-0000-0000-0000-{number:012}"
        history = [
            Result(model_id, at, at + timedelta(milliseconds=chance.randrange(10, 5000)), "ok",
                   chance.randrange(1000) / 997, 1000, 10_000_000 + minute, at)
            for minute, at in enumerate(FIRST + timedelta(minutes=number) for number in range(1000))
        ]  # fmt: skip
        ResultStore(stack.client).save(history)
        bytes_: Any = stack.client.memory_usage(results_key(model_id), samples=0)
        took.append(bytes_ / len(history))
    figures.add("Redis, per stored result of a model with 1,000 (MEMORY USAGE)", "bytes", took, "at most 200")


class Jobs:
    """Models that are all due each hour, and the processes that see to them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._next = FIRST
        self._chance = random.Random(1)
        approach(stack.db, FIRST, timedelta(minutes=30))
        stack.start("scheduler", SCHEDULER)
        self.worker: Service = stack.start("worker", WORKER)
        self.pool = stack.pool("worker")

    def schedule(self, models: int) -> None:
        """Have so many models, and no others; without rows."""
        run(self._stack.db, "DELETE FROM metrics_executions; DELETE FROM results")
        run(self._stack.db, SCHEDULE, models)
        run(self._stack.db, "VACUUM ANALYZE metrics_executions")
        wait_for(lambda: one(self._stack.db, "SELECT count(next_due_at) FROM crons") == 1, seconds=60)

    def log(self, labels: int, kinds: int, shape: str = "{}") -> list[float]:
        """Log a row of each model; the accuracies that they have."""
        texts = [shape.format(label) for label in range(10)]
        true = [self._chance.choices(range(10), k=labels) for _ in range(kinds)]
        predicted = [
            [label if self._chance.random() < 0.9 else self._chance.randrange(10) for label in side] for side in true
        ]
        y_true, y_pred = (
            [f"[{', '.join(texts[label] for label in side)}]" for side in sides] for sides in (true, predicted)
        )
        run(self._stack.db, LOG, y_true, y_pred, kinds)
        run(self._stack.db, "VACUUM ANALYZE results")
        pairs = zip(true, predicted, strict=True)
        return [sum(map(int.__eq__, side, other)) / labels for side, other in pairs]

    def seconds(self) -> float:
        """Return how long after a moment the last of its results is in Redis, by the clock of this machine."""
        expected = one(self._stack.db, "SELECT count(*) FROM metrics_executions")
        stored = ResultStore(self._stack.client)
        before = sum(stored.totals().added.values())
        moment = approach(self._stack.db, self._next, LEAD)
        self._next += timedelta(hours=1)

        def done() -> float | None:
            time.sleep(0.01)  # and what wait_for sleeps: some hundred questions a minute would cost, too
            return time.time() if sum(stored.totals().added.values()) - before >= expected else None

        ended = wait_for(done, PATIENCE) or 0.0
        self._due_at = moment.due_at
        return ended - moment.comes_at

    def check(self, accuracies: list[float], labels: int) -> None:
        """See that each model has its one right result of the last moment."""
        found = rows(self._stack.db, "SELECT model_id::text, 1 + id %% %s FROM metrics_executions", len(accuracies))
        stored = ResultStore(self._stack.client).latest_of([model_id for model_id, _ in found])
        for (model_id, kind), result in zip(found, stored, strict=True):
            right = result and (result.due_at, result.status, result.samples) == (self._due_at, "ok", labels)
            if not (right and result and result.accuracy == accuracies[kind - 1]):
                raise SystemExit(f"model {model_id}, row of kind {kind}: {result}")


if __name__ == "__main__":
    command("jobs", __doc__, bench)
