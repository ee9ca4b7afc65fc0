"""A team's models after some weeks, for screenshots: good ones, one that gets worse, failures, one that is new."""

import math
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from core.cron.occurrences import last_fire, next_fire
from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.databases import log_labels, past_the_triggers, run
from tests.support.service_stack import Stack

NOW = datetime(2026, 11, 24, 11, 59, 50, tzinfo=UTC)
RUNS = 240
MILLISECOND = timedelta(milliseconds=1)


class Model(NamedTuple):
    """A model, and how it fares."""

    name: str
    cron: str
    zone: str = "UTC"
    accuracy: float | None = 0.95  # at the end; None: it has not run yet
    drift: float = 0.0  # since the beginning
    samples: int = 1000
    labels: tuple[str, ...] = ("no", "yes")
    enabled: bool = True
    fault: str | None = None  # of its latest runs


MODELS = [
    Model("Churn, monthly contracts", "0 6 * * mon-fri", "Europe/Warsaw", 0.912, -0.021, 4180),
    Model("Credit risk, retail", "30 2 * * *", "Europe/London", 0.874, 0.012, 2264),
    Model("Demand class, next week", "0 5 * * sun", "America/New_York", 0.806, 0.034, 860),
    Model("Fraud, card payments", "*/5 * * * *", "UTC", 0.987, -0.002, 12840),
    Model("Image tags, mobile uploads", "* * * * *", fault="y_true holds null at position 17, which is no label"),
    Model("Language of messages", "@hourly", "UTC", 0.968, 0.004, 5400, ("de", "en", "es", "fr", "pl")),
    Model("Lead scoring (trial)", "0 9 * * mon-fri", "Europe/Warsaw", None),
    Model("Sentiment, product reviews", "15 */3 * * *", "Asia/Tokyo", 0.842, -0.006, 1320, enabled=False),
    Model("Spam filter, retrained in May", "*/15 * * * *", "UTC", 0.831, -0.128, 3050, ("ham", "spam")),
    Model("Support tickets, routing", "0 8-18 * * mon-fri", "America/New_York", 0.893, 0.058, 640,
          ("billing", "bug", "login", "other", "shipping")),
]  # fmt: skip
SPAM = "Spam filter, retrained in May"


def model_id(model: Model) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{MODELS.index(model)}.example"))


def stage(stack: Stack, results: ResultStore) -> None:
    """Fill the stack, ten seconds before noon; from then on its clock runs."""
    run(stack.db, "DELETE FROM metrics_executions; DELETE FROM results; DELETE FROM crons; DELETE FROM fires")
    for model in MODELS:
        run(
            stack.db,
            "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, enabled)"
            " VALUES (%s, %s, %s, %s, %s)",
            model_id(model), model.name, model.cron, model.zone, model.enabled,
        )  # fmt: skip
        results.save(history(model))
    with past_the_triggers(stack.db):
        run(
            stack.db,
            "UPDATE metrics_executions SET active_since = %s WHERE name <> %s",
            NOW - timedelta(days=90), "Lead scoring (trial)",
        )  # fmt: skip
    run(stack.db, "DELETE FROM crons")
    for cron, zone in {(model.cron, model.zone) for model in MODELS if model.enabled}:
        run(
            stack.db,
            "INSERT INTO crons VALUES (%s, %s, %s, %s, NULL, 'x')",
            cron, zone, next_fire(cron, zone, NOW), last_fire(cron, zone, NOW),
        )  # fmt: skip
    run(
        stack.db,
        "CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE"
        f" RETURN clock_timestamp() - '{datetime.now(UTC)}'::timestamptz + '{NOW}'::timestamptz",
    )
    for model in MODELS:
        if model.accuracy is not None:
            true, predicted = ("[" + "0, " * 17 + "null]", "[" + "0, " * 17 + "1]") if model.fault else labels(model)
            log_labels(stack.db, true, predicted, model_id(model))
    run(stack.db, "NOTIFY metrics_executions")


def history(model: Model) -> Iterator[Result]:
    """Return results of the last moments of a model, with the noise of its samples."""
    if model.accuracy is None:
        return
    chance = random.Random(model.name)
    due_at = NOW
    for ago in range(RUNS):
        due_at = last_fire(model.cron, model.zone, due_at - MILLISECOND)
        calculated_at = due_at + timedelta(milliseconds=chance.randint(8, 40))
        if model.fault and ago < 4:
            yield Result(model_id(model), due_at, calculated_at, "error", error=model.fault)
            continue
        if model.name == SPAM and ago == 60:
            yield Result(model_id(model), due_at, calculated_at, "no_data", error="the newest row has no labels")
            continue
        if model.name == SPAM and 100 <= ago < 106:
            continue  # missed
        middle = model.accuracy - model.drift * (ago / RUNS)
        noise = math.sqrt(middle * (1 - middle) / model.samples)
        accuracy = min(1.0, max(0.0, middle + chance.gauss(0, noise)))
        samples = round(model.samples * chance.uniform(0.8, 1.2))
        labels_at = due_at - timedelta(hours=2)
        yield Result(
            model_id(model), due_at, calculated_at, "ok", accuracy, samples, 1, labels_at,
            confusion=_confusion(model, samples),
        )  # fmt: skip


def labels(model: Model) -> tuple[str, str]:
    """Return true and predicted labels as JSON, of which as many are right as the model is good."""
    chance = random.Random(model.name)
    true = chance.choices(model.labels, k=model.samples)
    assert model.accuracy is not None
    others = {one: [it for it in model.labels if it != one] for one in model.labels}
    predicted = [one if chance.random() < model.accuracy else chance.choice(others[one]) for one in true]
    return _json(true), _json(predicted)


def _json(words: list[str]) -> str:
    return "[" + ",".join(f'"{word}"' for word in words) + "]"


def _confusion(model: Model, samples: int) -> ConfusionMatrix:
    each = samples // len(model.labels)
    counts = [
        [each if row == column else each // 20 for column in range(len(model.labels))]
        for row in range(len(model.labels))
    ]
    return ConfusionMatrix(list(model.labels), counts)
