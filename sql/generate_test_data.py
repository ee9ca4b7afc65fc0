"""Writes 900_test_data.sql: real predictions of models that scikit-learn trained on its bundled data sets.

The versions in requirements/worker.txt always write the same bytes: what is random has a fixed seed, and
no prediction hinges on the last digits of a number, which differ from one CPU to the next.
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

FILE = Path(__file__).with_name("900_test_data.sql")
WEEKS = 8
FIRST_WEEK = datetime(2026, 9, 28, 6, tzinfo=UTC)  # the last one is then 16 November 2026
DIGITS_PER_WEEK = 150
TUMOURS_PER_WEEK = 60
WINES_PER_WEEK = 60


class Week(NamedTuple):
    """The true labels of a week's samples and what the model said: one row of results."""

    y_true: list[Any]
    y_pred: list[Any]


class Model(NamedTuple):
    """A model of the test data; without a cron expression it gets no schedule."""

    model_id: str
    name: str
    meaning: str
    weeks: Callable[[], list[Week]]
    cron_expression: str | None = None
    timezone: str = "UTC"


class Split(NamedTuple):
    """Samples to learn from, and for each week samples that the model never saw."""

    features: Any
    labels: Any
    weeks: Iterator[tuple[Any, Any]]


def split(features: Any, labels: Any, per_week: int) -> Split:
    """Hold out the samples of all weeks; the remaining ones are for learning."""
    learn, held_out, learn_labels, held_out_labels = train_test_split(
        features, labels, test_size=WEEKS * per_week, stratify=labels, random_state=0
    )
    weeks = zip(np.split(held_out, WEEKS), np.split(held_out_labels, WEEKS), strict=True)
    return Split(learn, learn_labels, weeks)


def digits() -> Split:
    """Images of handwritten digits, 8 x 8 pixels from 0 to 16; the labels are integers."""
    images, labels = load_digits(return_X_y=True)
    return split(images, labels, DIGITS_PER_WEEK)


def nearest(neighbours: int) -> KNeighborsClassifier:
    """Classifier by vote of the nearest neighbours, searched without BLAS."""
    return KNeighborsClassifier(neighbours, algorithm="kd_tree")


def predict(model: Any, features: Any, y_true: Any) -> Week:
    """Week with plain Python labels, which JSON can hold."""
    return Week(y_true.tolist(), model.predict(features).tolist())


def steady_digits() -> list[Week]:
    """One model, each week on new images."""
    data = digits()
    model = nearest(5).fit(data.features, data.labels)
    return [predict(model, features, labels) for features, labels in data.weeks]


def noisy_digits() -> list[Week]:
    """The model and the images of steady_digits, but every week the scanner adds more noise."""
    data = digits()
    model = nearest(5).fit(data.features, data.labels)
    random = np.random.default_rng(0)
    weeks = []
    for week, (features, labels) in enumerate(data.weeks):
        noise = random.integers(-2 * week, 2 * week, features.shape, endpoint=True)
        weeks.append(predict(model, features + noise, labels))
    return weeks


def growing_digits() -> list[Week]:
    """A model that is trained anew every week, with 15 images more than the week before."""
    data = digits()
    weeks = []
    for week, (features, labels) in enumerate(data.weeks, start=1):
        known = 15 * week
        model = nearest(1).fit(data.features[:known], data.labels[:known])
        weeks.append(predict(model, features, labels))
    return weeks


def tumours() -> list[Week]:
    """One model, each week on new patients; the labels are strings."""
    bunch = load_breast_cancer()
    data = split(bunch.data, bunch.target_names[bunch.target], TUMOURS_PER_WEEK)
    model = GaussianNB().fit(data.features, data.labels)
    return [predict(model, features, labels) for features, labels in data.weeks]


def wines() -> list[Week]:
    """A model that is trained anew every week, on another part of the few wines; the labels are booleans."""
    features, cultivars = load_wine(return_X_y=True)
    labels = cultivars == 1
    weeks = []
    for week in range(WEEKS):
        learn, held_out, learn_labels, y_true = train_test_split(
            features, labels, test_size=WINES_PER_WEEK, stratify=labels, random_state=week
        )
        weeks.append(predict(GaussianNB().fit(learn, learn_labels), held_out, y_true))
    return weeks


MODELS = (
    Model(
        "550e8400-e29b-41d4-a716-446655440000",
        "Digits, steady",
        "handwritten digits, new images each week; has no schedule yet, the README's first call makes it",
        steady_digits,
    ),
    Model(
        "a5043f8b-dd19-4872-b612-a0bc56f4f9b8",
        "Digits, failing scanner",
        "the same model, but the images get noisier every week: it gets worse",
        noisy_digits,
        "* * * * *",
    ),
    Model(
        "37b38089-84cf-48f5-b3b4-bc28575ee19c",
        "Digits, still learning",
        "trained anew every week, with more images: it gets better",
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
        "has a schedule, but no results",
        list,  # of no weeks
        "*/5 * * * *",
    ),
)

SCRIPT = """\
-- Test data to try the project on: models that scikit-learn trained on its bundled data sets, with
-- their real predictions for samples that they had not seen, one row a week.
-- Generated by `python -m sql.generate_test_data`; change that script, not this file.
--
{models}
--
-- Nothing is added when the first of these models has results: running this again is safe, and a schedule
-- that somebody deleted stays deleted. So the results come last: both statements look for them.

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
{results}
) AS added (model_id, y_true, y_pred, "timestamp")
WHERE NOT EXISTS (SELECT FROM public.results WHERE model_id = {seed});
"""


def literal(text: str) -> str:
    """Text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def values(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of a VALUES list, one per line."""
    return ",\n".join(f"    ({', '.join(map(literal, row))})" for row in rows)


def comment(model: Model, weeks: list[Week]) -> str:
    """Lines about a model: its id, what it stands for, how accurate it is in the first and the last week."""
    lines = f"-- {model.model_id}  {model.name}\n--     {model.meaning}"
    if weeks:
        first, last = accuracy_score(*weeks[0]), accuracy_score(*weeks[-1])
        lines += f"\n--     accuracy {first:.2f} in the first week, {last:.2f} in the last"
    return lines


def compact(labels: list[Any]) -> str:
    """Labels as JSON without blanks."""
    return json.dumps(labels, separators=(",", ":"))


def timestamp(week: int) -> str:
    """Moment at which the results of a week were stored."""
    return (FIRST_WEEK + timedelta(weeks=week)).isoformat()


def script() -> str:
    """Text of 900_test_data.sql."""
    weeks = {model: model.weeks() for model in MODELS}
    results = [
        (model.model_id, compact(week.y_true), compact(week.y_pred), timestamp(number))
        for model in MODELS
        for number, week in enumerate(weeks[model])
    ]
    schedules = [
        (model.model_id, model.name, model.cron_expression, model.timezone) for model in MODELS if model.cron_expression
    ]
    return SCRIPT.format(
        models="\n".join(comment(model, weeks[model]) for model in MODELS),
        schedules=values(schedules),
        results=values(results),
        seed=literal(MODELS[0].model_id),
    )


if __name__ == "__main__":
    FILE.write_text(script(), encoding="utf-8")
