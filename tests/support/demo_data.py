"""Models of a team after some weeks, for screenshots: good ones, a degrading one, failing ones, a new one."""

import math
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from core.cron.occurrences import last_fire, next_fire
from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.models import Result
from core.results.repository import ResultStore
from core.timestamps import MILLISECOND
from tests.support.databases import Connection, bypass_triggers, execute, insert_label_row
from tests.support.service_stack import Stack

NOW = datetime(2026, 11, 24, 11, 59, 50, tzinfo=UTC)
RUNS = 240  # of each model
FAILED_RUNS = 4  # the latest ones of a model with an error
ROW_WITH_NULL = ("[" + "0, " * 17 + "null]", "[" + "0, " * 17 + "1]")


class Model(NamedTuple):
    """A model, its schedule and its quality."""

    name: str
    cron: str
    zone: str = "UTC"
    accuracy: float | None = 0.95  # of the latest run; None: it has not run yet
    drift: float = 0.0  # since the first run
    samples: int = 1000
    labels: tuple[str, ...] = ("no", "yes")
    enabled: bool = True
    error: str | None = None  # of its latest runs

    @property
    def model_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{MODELS.index(self)}.example"))


SPAM = Model("Spam filter, retrained in May", "*/15 * * * *", "UTC", 0.831, -0.128, 3050, ("ham", "spam"))
SPAM_RUN_WITHOUT_DATA = 60  # runs before the latest one
SPAM_MISSED_RUNS = range(100, 106)
NEW = Model("Lead scoring (trial)", "0 9 * * mon-fri", "Europe/Warsaw", None)
MODELS = [
    Model("Churn, monthly contracts", "0 6 * * mon-fri", "Europe/Warsaw", 0.912, -0.021, 4180),
    Model("Credit risk, retail", "30 2 * * *", "Europe/London", 0.874, 0.012, 2264),
    Model("Demand class, next week", "0 5 * * sun", "America/New_York", 0.806, 0.034, 860),
    Model("Fraud, card payments", "*/5 * * * *", "UTC", 0.987, -0.002, 12840),
    Model("Image tags, mobile uploads", "* * * * *", error="y_true holds null at position 17, which is no label"),
    Model("Language of messages", "@hourly", "UTC", 0.968, 0.004, 5400, ("de", "en", "es", "fr", "pl")),
    NEW,
    Model("Sentiment, product reviews", "15 */3 * * *", "Asia/Tokyo", 0.842, -0.006, 1320, enabled=False),
    SPAM,
    Model("Support tickets, routing", "0 8-18 * * mon-fri", "America/New_York", 0.893, 0.058, 640,
          ("billing", "bug", "login", "other", "shipping")),
]  # fmt: skip


def load_demo_data(stack: Stack, results: ResultStore) -> None:
    """Fill the stack ten seconds before noon; from then on its clock runs."""
    execute(stack.db, "DELETE FROM metrics_executions; DELETE FROM results; DELETE FROM crons; DELETE FROM fires")
    for model in MODELS:
        _insert_schedule(stack.db, model)
        results.save(_past_results(model))
    with bypass_triggers(stack.db):
        execute(
            stack.db,
            "UPDATE metrics_executions SET active_since = %s WHERE name <> %s",
            NOW - timedelta(days=90), NEW.name,
        )  # fmt: skip
    _insert_crons(stack.db)
    _start_clock(stack.db)
    for model in MODELS:
        if model.accuracy is not None:
            true, predicted = ROW_WITH_NULL if model.error else _label_row(model)
            insert_label_row(stack.db, true, predicted, model.model_id)
    execute(stack.db, "NOTIFY metrics_executions")


def _insert_schedule(db: Connection, model: Model) -> None:
    execute(
        db,
        "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, enabled)"
        " VALUES (%s, %s, %s, %s, %s)",
        model.model_id, model.name, model.cron, model.zone, model.enabled,
    )  # fmt: skip


def _insert_crons(db: Connection) -> None:
    execute(db, "DELETE FROM crons")
    for cron, zone in {(model.cron, model.zone) for model in MODELS if model.enabled}:
        execute(
            db,
            "INSERT INTO crons VALUES (%s, %s, %s, %s, NULL, 'x')",
            cron, zone, next_fire(cron, zone, NOW), last_fire(cron, zone, NOW),
        )  # fmt: skip


def _start_clock(db: Connection) -> None:
    execute(
        db,
        "CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE"
        f" RETURN clock_timestamp() - '{datetime.now(UTC)}'::timestamptz + '{NOW}'::timestamptz",
    )


def _past_results(model: Model) -> Iterator[Result]:
    """Return the latest results of a model, newest first, with the noise of its sample size."""
    if model.accuracy is None:
        return
    rng = random.Random(model.name)
    due_at = NOW
    for index in range(RUNS):
        due_at = last_fire(model.cron, model.zone, due_at - MILLISECOND)
        calculated_at = due_at + timedelta(milliseconds=rng.randint(8, 40))
        if model.error and index < FAILED_RUNS:
            yield Result(model.model_id, due_at, calculated_at, "error", error=model.error)
            continue
        if model is SPAM and index == SPAM_RUN_WITHOUT_DATA:
            error = "the newest row has no labels"
            yield Result(model.model_id, due_at, calculated_at, "no_data", error=error)
            continue
        if model is SPAM and index in SPAM_MISSED_RUNS:
            continue
        mean = model.accuracy - model.drift * (index / RUNS)
        noise = math.sqrt(mean * (1 - mean) / model.samples)
        accuracy = min(1.0, max(0.0, mean + rng.gauss(0, noise)))
        samples = round(model.samples * rng.uniform(0.8, 1.2))
        labels_at = due_at - timedelta(hours=2)
        yield Result(
            model.model_id, due_at, calculated_at, "ok", accuracy, samples, 1, labels_at,
            confusion=_confusion(model, samples),
        )  # fmt: skip


def _label_row(model: Model) -> tuple[str, str]:
    """Return true and predicted labels as JSON arrays, with the accuracy of the model."""
    rng = random.Random(model.name)
    true = rng.choices(model.labels, k=model.samples)
    assert model.accuracy is not None
    wrong = {label: [other for other in model.labels if other != label] for label in model.labels}
    predicted = [label if rng.random() < model.accuracy else rng.choice(wrong[label]) for label in true]
    return _json_array(true), _json_array(predicted)


def _json_array(labels: Sequence[str]) -> str:
    return "[" + ",".join(f'"{label}"' for label in labels) + "]"


def _confusion(model: Model, samples: int) -> ConfusionMatrix:
    correct = samples // len(model.labels)
    size = range(len(model.labels))
    counts = [[correct if true == predicted else correct // 20 for predicted in size] for true in size]
    return ConfusionMatrix(list(model.labels), counts)
