"""The whole path, from the due time to the last result in Redis: python -m benchmarks.end_to_end.

Real servers, a scheduler and a worker with two processes, all on this machine. All models are due
at the same time; each has a new label row of 1,000 labels, or none since its last result. Then
models with a label row of 1,000,000 labels each: a single one, and 100 of them at once. Results are
checked; a wrong or missing one ends the benchmark.
"""

import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import simulated_clock
from benchmarks.measurements import Measurements, Options, run_benchmark
from benchmarks.stack import Stack, running
from core.results.keys import results_key
from core.results.models import Result
from core.results.repository import ResultStore
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import execute, fetch_all, fetch_value, wait_for
from tests.support.processes import Service, peak_memory

MODELS, LABELS = 20_000, 1000
LARGE_MODELS, LARGE_LABELS = 100, 1_000_000
LEAD = timedelta(seconds=0.5)  # from setting the clock to the due time
VARIANTS = 50  # different contents of new label rows
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
TIMEOUT = 300.0  # seconds
REQUEUED = re.compile("requeued|isolated|interrupted")  # in the log of a worker

INSERT_SCHEDULES = """
    INSERT INTO metrics_executions (model_id, cron_expression)
    SELECT gen_random_uuid(), '0 * * * *' FROM generate_series(1, %s)
"""
INSERT_LABEL_ROWS = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT schedule.model_id, variant.y_true::json, variant.y_pred::json, schedule_now()
    FROM metrics_executions AS schedule
    JOIN unnest(%s, %s) WITH ORDINALITY AS variant (y_true, y_pred, number) ON variant.number = 1 + schedule.id %% %s
"""


@dataclass(frozen=True)
class Shape:
    """Models with label rows of one shape, for capacity planning."""

    models: int
    labels: int
    label_format: str = "{}"  # a label in JSON


SHAPES = [
    Shape(20_000, 10),
    Shape(20_000, 100),
    Shape(10_000, 1000, '"class {}"'),
    Shape(4_000, 10_000),
    Shape(400, 100_000),
]


def benchmark(measurements: Measurements, options: Options) -> None:
    with running() as stack:
        measurements.describe_environment(stack.db)
        pipeline = Pipeline(stack)
        measure_many(pipeline, measurements, options)
        for shape in SHAPES:
            measure_shape(pipeline, measurements, options, shape)
        measure_large(pipeline, measurements, options)
        measure_memory(stack, measurements, options)


def measure_many(pipeline: "Pipeline", measurements: Measurements, options: Options) -> None:
    """Measure many models with new, then with unchanged label rows."""
    models = options.scaled(MODELS)
    pipeline.replace_schedules(models)
    new, unchanged = [], []
    for _ in range(options.runs):
        accuracies = pipeline.log_label_rows(LABELS, VARIANTS)
        new.append(models / pipeline.fire())
        pipeline.check(accuracies, LABELS)
        unchanged.append(models / pipeline.fire())
        pipeline.check(accuracies, LABELS)
    label = f"end to end, {models:,} models, each with"
    measurements.add(f"{label} a new row of {LABELS:,} labels", "models/s", new, "at least 1,200")
    measurements.add(f"{label} the row of its last result", "models/s", unchanged, "at least 8,000")


def measure_shape(pipeline: "Pipeline", measurements: Measurements, options: Options, shape: Shape) -> None:
    models = options.scaled(shape.models)
    pipeline.replace_schedules(models)
    rates = []
    for _ in range(options.runs):
        accuracies = pipeline.log_label_rows(shape.labels, min(VARIANTS, models), shape.label_format)
        rates.append(models / pipeline.fire())
        pipeline.check(accuracies, shape.labels)
    row = f"a new row of {shape.labels:,} labels such as {shape.label_format.format(7)}"
    measurements.add(f"end to end, {models:,} models, each with {row}", "models/s", rates)


def measure_large(pipeline: "Pipeline", measurements: Measurements, options: Options) -> None:
    """Measure a single model with a large label row, then many."""
    models, labels = options.scaled(LARGE_MODELS), options.scaled(LARGE_LABELS)
    pipeline.replace_schedules(1)
    log_start = len(pipeline.worker.output)
    single = []
    for _ in range(options.runs):
        accuracies = pipeline.log_label_rows(labels, 1)
        single.append(pipeline.fire())
        pipeline.check(accuracies, labels)
    measurements.add(f"a single row of {labels:,} labels, due time to result", "s", single, "at most 2")
    pipeline.replace_schedules(models)
    per_model = []
    for _ in range(options.runs):
        accuracies = pipeline.log_label_rows(labels, 2)
        per_model.append(pipeline.fire() / models)
        pipeline.check(accuracies, labels)
    measurements.add(f"{models} such models at once, per model", "s", per_model, "at most 2")
    requeued = len(REQUEUED.findall(pipeline.worker.output[log_start:]))
    measurements.add("batches of them that were interrupted or requeued", "", [requeued], "at most 0")
    peaks = [(peak_memory(pid) or 0) / 1024 for pid in pipeline.pool]
    measurements.add("peak memory of a worker's process (VmHWM) meanwhile", "MiB", peaks, "below 600")


def measure_memory(stack: Stack, measurements: Measurements, options: Options) -> None:
    """Measure realistic results in Redis: with many digits, in a long history."""
    rng, sizes = random.Random(1), []
    for number in range(options.runs):
        model_id = f"00000000-0000-0000-0000-{number:012}"
        history = [
            Result(model_id, at, at + timedelta(milliseconds=rng.randrange(10, 5000)), "ok",
                   rng.randrange(1000) / 997, 1000, 10_000_000 + minute, at)
            for minute, at in enumerate(START + timedelta(minutes=number) for number in range(1000))
        ]  # fmt: skip
        ResultStore(stack.client).save(history)
        size: Any = stack.client.memory_usage(results_key(model_id), samples=0)
        sizes.append(size / len(history))
    label = "Redis, per stored result of a model with 1,000 (MEMORY USAGE)"
    measurements.add(label, "bytes", sizes, "at most 200")


class Pipeline:
    """Models that are all due each hour, and a scheduler and a worker that run them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._results = ResultStore(stack.client)
        self._rng = random.Random(1)
        self._due_at = START  # of the next fire
        self._fired_at = START
        simulated_clock.set_before(stack.db, START, timedelta(minutes=30))
        stack.start("scheduler", SCHEDULER)
        self.worker: Service = stack.start("worker", WORKER)
        self.pool = stack.pool("worker")

    def replace_schedules(self, models: int) -> None:
        """Delete all schedules and label rows, and insert schedules of so many models."""
        execute(self._stack.db, "DELETE FROM metrics_executions; DELETE FROM results")
        execute(self._stack.db, INSERT_SCHEDULES, models)
        execute(self._stack.db, "VACUUM ANALYZE metrics_executions")
        wait_for(lambda: fetch_value(self._stack.db, "SELECT count(next_due_at) FROM crons") == 1, seconds=60)

    def log_label_rows(self, labels: int, variants: int, label_format: str = "{}") -> list[float]:
        """Insert a label row of each model; returns the accuracy of each variant."""
        texts = [label_format.format(label) for label in range(10)]
        y_true = [self._rng.choices(range(10), k=labels) for _ in range(variants)]
        y_pred = [[label if self._rng.random() < 0.9 else self._rng.randrange(10) for label in true] for true in y_true]
        y_true_json, y_pred_json = (
            [f"[{', '.join(texts[label] for label in row)}]" for row in column] for column in (y_true, y_pred)
        )
        execute(self._stack.db, INSERT_LABEL_ROWS, y_true_json, y_pred_json, variants)
        execute(self._stack.db, "VACUUM ANALYZE results")
        return [sum(map(int.__eq__, true, pred)) / labels for true, pred in zip(y_true, y_pred, strict=True)]

    def fire(self) -> float:
        """Let the next due time come; returns the seconds until the last result is in Redis, by the real clock."""
        models = fetch_value(self._stack.db, "SELECT count(*) FROM metrics_executions")
        before = self._count_results()
        due_time = simulated_clock.set_before(self._stack.db, self._due_at, LEAD)
        self._fired_at, self._due_at = self._due_at, self._due_at + timedelta(hours=1)

        def finished_at() -> float | None:
            time.sleep(0.01)  # in addition to that of wait_for: some hundred queries a second would cost time
            return time.time() if self._count_results() - before >= models else None

        return (wait_for(finished_at, TIMEOUT) or 0.0) - due_time.real_time

    def check(self, accuracies: list[float], labels: int) -> None:
        """Exit unless each model has the right result of the last due time."""
        models = fetch_all(
            self._stack.db, "SELECT model_id::text, 1 + id %% %s FROM metrics_executions", len(accuracies)
        )
        results = self._results.latest_of([model_id for model_id, _ in models])
        for (model_id, variant), result in zip(models, results, strict=True):
            expected = (self._fired_at, "ok", labels, accuracies[variant - 1])
            if result is None or (result.due_at, result.status, result.samples, result.accuracy) != expected:
                raise SystemExit(f"model {model_id}, label row of variant {variant}: {result}")

    def _count_results(self) -> int:
        return sum(self._results.totals().added.values())


if __name__ == "__main__":
    run_benchmark("end_to_end", __doc__, benchmark)
