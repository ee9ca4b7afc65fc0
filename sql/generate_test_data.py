"""Generator of test_data.sql: predictions of models that scikit-learn trained on its bundled data sets.

The output is reproducible byte for byte with the versions of requirements/worker.txt: random generators have a fixed
seed, and no prediction depends on the last digits of a number, which differ between CPUs.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

OUTPUT_FILE = Path(__file__).with_name("test_data.sql")
WEEKS = 8
FIRST_WEEK = datetime(2026, 9, 28, 6, tzinfo=UTC)  # so the last one is 16 November 2026
DIGITS_PER_WEEK = 150
TUMOURS_PER_WEEK = 60
WINES_PER_WEEK = 60


class Week(NamedTuple):
    """True and predicted labels of one week: one label row."""

    y_true: list[Any]
    y_pred: list[Any]


class Model(NamedTuple):
    """A model of the test data; it has a schedule only if it has a cron expression."""

    model_id: str
    name: str
    description: str
    weeks: Callable[[], list[Week]]
    cron_expression: str | None = None
    timezone: str = "UTC"


class Split(NamedTuple):
    """Training samples, and held-out samples for each week."""

    train_features: Any
    train_labels: Any
    weeks: Iterator[tuple[Any, Any]]


def hold_out_weeks(features: Any, labels: Any, per_week: int) -> Split:
    """Hold out the samples of all weeks; the others are training samples."""
    train, held_out, train_labels, held_out_labels = train_test_split(
        features, labels, test_size=WEEKS * per_week, stratify=labels, random_state=0
    )
    return Split(train, train_labels, zip(np.split(held_out, WEEKS), np.split(held_out_labels, WEEKS), strict=True))


def load_digits_split() -> Split:
    """Return images of handwritten digits, 8 x 8 pixels from 0 to 16, with integer labels."""
    images, labels = load_digits(return_X_y=True)
    return hold_out_weeks(images, labels, DIGITS_PER_WEEK)


def knn_classifier(neighbours: int) -> KNeighborsClassifier:
    """Return a k-nearest-neighbours classifier that searches without BLAS."""
    return KNeighborsClassifier(neighbours, algorithm="kd_tree")


def predict(model: Any, features: Any, y_true: Any) -> Week:
    """Return the labels of a week as plain Python values, which JSON can represent."""
    return Week(y_true.tolist(), model.predict(features).tolist())


def steady_digits() -> list[Week]:
    """Return the weeks of one model, each with new images."""
    data = load_digits_split()
    model = knn_classifier(5).fit(data.train_features, data.train_labels)
    return [predict(model, features, labels) for features, labels in data.weeks]


def noisy_digits() -> list[Week]:
    """Return the weeks of steady_digits, with more noise from the scanner every week."""
    data = load_digits_split()
    model = knn_classifier(5).fit(data.train_features, data.train_labels)
    random = np.random.default_rng(0)
    weeks = []
    for week, (features, labels) in enumerate(data.weeks):
        noise = random.integers(-2 * week, 2 * week, features.shape, endpoint=True)
        weeks.append(predict(model, features + noise, labels))
    return weeks


def growing_digits() -> list[Week]:
    """Return the weeks of a model that is retrained every week, with 15 more images each time."""
    data = load_digits_split()
    weeks = []
    for week, (features, labels) in enumerate(data.weeks, start=1):
        train_size = 15 * week
        model = knn_classifier(1).fit(data.train_features[:train_size], data.train_labels[:train_size])
        weeks.append(predict(model, features, labels))
    return weeks


def tumours() -> list[Week]:
    """Return the weeks of one model, each with new patients; the labels are strings."""
    bunch = load_breast_cancer()
    data = hold_out_weeks(bunch.data, bunch.target_names[bunch.target], TUMOURS_PER_WEEK)
    model = GaussianNB().fit(data.train_features, data.train_labels)
    return [predict(model, features, labels) for features, labels in data.weeks]


def wines() -> list[Week]:
    """Return the weeks of a model that is retrained every week on other wines; the labels are booleans."""
    features, cultivars = load_wine(return_X_y=True)
    labels = cultivars == 1
    weeks = []
    for week in range(WEEKS):
        train, held_out, train_labels, y_true = train_test_split(
            features, labels, test_size=WINES_PER_WEEK, stratify=labels, random_state=week
        )
        weeks.append(predict(GaussianNB().fit(train, train_labels), held_out, y_true))
    return weeks


MODELS = (
    Model(
        "550e8400-e29b-41d4-a716-446655440000",
        "Digits, steady",
        "handwritten digits, new images each week; no schedule yet: the first call of the README creates it",
        steady_digits,
    ),
    Model(
        "a5043f8b-dd19-4872-b612-a0bc56f4f9b8",
        "Digits, failing scanner",
        "the same model, but the images get noisier every week: the accuracy falls",
        noisy_digits,
        "* * * * *",
    ),
    Model(
        "37b38089-84cf-48f5-b3b4-bc28575ee19c",
        "Digits, still learning",
        "retrained every week, with more images: the accuracy rises",
        growing_digits,
        "*/5 * * * *",
    ),
    Model(
        "7893a4f4-5c76-4f84-abe0-1fd042d63ba1",
        "Breast cancer",
        "string labels, malignant or benign",
        tumours,
        "*/2 * * * *",
    ),
    Model(
        "030a151f-207b-4b6e-bdd5-35866781a020",
        "Wine of the second cultivar?",
        "boolean labels",
        wines,
        "0 9 * * mon-fri",
        "Europe/Warsaw",
    ),
    Model(
        "838148ec-95c5-44cc-9c8b-40a56e56d036",
        "Not deployed yet",
        "has a schedule, but no label rows",
        list,  # no weeks
        "*/5 * * * *",
    ),
)

SCRIPT_TEMPLATE = """\
-- Test data: models that scikit-learn trained on its bundled data sets, with their predictions for held-out
-- samples, one label row per week.
-- Generated by `python -m sql.generate_test_data`; change that script, not this file.
--
{models}
--
-- Nothing is inserted if the first of these models has label rows: the script can be repeated, and a schedule that
-- a user has deleted stays deleted. Both statements check for these rows, so they are inserted last.

INSERT INTO public.metrics_executions (model_id, name, cron_expression, timezone)
SELECT model_id::uuid, name, cron_expression, timezone
FROM (VALUES
{schedules}
) AS added (model_id, name, cron_expression, timezone)
WHERE NOT EXISTS (SELECT FROM public.results WHERE model_id = {seed})
ON CONFLICT (model_id) DO NOTHING;

INSERT INTO public.results (model_id, y_true, y_pred, "timestamp")
SELECT model_id::uuid, y_true::json, y_pred::json, "timestamp"::timestamptz
FROM (VALUES
{label_rows}
) AS added (model_id, y_true, y_pred, "timestamp")
WHERE NOT EXISTS (SELECT FROM public.results WHERE model_id = {seed});
"""


def sql_literal(text: str) -> str:
    """Return a text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def values_list(rows: Iterable[tuple[str, ...]]) -> str:
    """Return the rows of a VALUES list, one per line."""
    return ",\n".join(f"    ({', '.join(map(sql_literal, row))})" for row in rows)


def describe(model: Model, weeks: list[Week]) -> str:
    """Return comment lines about a model: id, name, description, accuracy in the first and the last week."""
    lines = f"-- {model.model_id}  {model.name}\n--     {model.description}"
    if weeks:
        first, last = accuracy_score(*weeks[0]), accuracy_score(*weeks[-1])
        lines += f"\n--     accuracy {first:.2f} in the first week, {last:.2f} in the last"
    return lines


def to_json(labels: list[Any]) -> str:
    """Return labels as JSON without blanks."""
    return json.dumps(labels, separators=(",", ":"))


def timestamp(week: int) -> str:
    """Return the timestamp of the label row of a week."""
    return (FIRST_WEEK + timedelta(weeks=week)).isoformat()


def generate_script() -> str:
    """Return the text of test_data.sql."""
    weeks = {model: model.weeks() for model in MODELS}
    label_rows = [
        (model.model_id, to_json(week.y_true), to_json(week.y_pred), timestamp(number))
        for model in MODELS
        for number, week in enumerate(weeks[model])
    ]
    schedules = [
        (model.model_id, model.name, model.cron_expression, model.timezone) for model in MODELS if model.cron_expression
    ]
    return SCRIPT_TEMPLATE.format(
        models="\n".join(describe(model, weeks[model]) for model in MODELS),
        schedules=values_list(schedules),
        label_rows=values_list(label_rows),
        seed=sql_literal(MODELS[0].model_id),
    )


if __name__ == "__main__":
    OUTPUT_FILE.write_text(generate_script(), encoding="utf-8")
