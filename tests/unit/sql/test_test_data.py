"""The committed test data, read from the file as PostgreSQL would."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from sklearn.metrics import accuracy_score

from sql import generate_test_data

TEXT = generate_test_data.OUTPUT_FILE.read_text(encoding="utf-8")
RESULT = re.compile(r"^    \('([^']+)', '(\[[^']+\])', '(\[[^']+\])', '([^']+)'\)", re.MULTILINE)
SCHEDULE = re.compile(r"^    \('([^']+)', '([^'\[]+)', '([^'\[]+)', '([^']+)'\)", re.MULTILINE)
STEADY, GETS_WORSE, GETS_BETTER, STRINGS, BOOLEANS, NO_RESULTS = (model.model_id for model in generate_test_data.MODELS)


def weeks(model_id: str) -> list[tuple[list[Any], list[Any]]]:
    rows = [row for row in RESULT.findall(TEXT) if row[0] == model_id]
    return [(json.loads(y_true), json.loads(y_pred)) for _, y_true, y_pred, _ in rows]


def test_the_committed_file_is_what_the_script_writes() -> None:
    assert generate_test_data.generate_script() == TEXT, "run python -m sql.generate_test_data"


def test_the_seed_model_is_the_one_of_the_readme() -> None:
    assert STEADY == "550e8400-e29b-41d4-a716-446655440000"


def test_every_model_id_is_a_version_4_uuid() -> None:
    versions = {UUID(model.model_id).version for model in generate_test_data.MODELS}

    assert versions == {4}


@pytest.mark.parametrize("model_id", [STEADY, GETS_WORSE, GETS_BETTER, STRINGS, BOOLEANS])
def test_every_row_has_a_prediction_for_each_true_label(model_id: str) -> None:
    lengths = [(len(y_true), len(y_pred)) for y_true, y_pred in weeks(model_id)]

    assert len(lengths) == generate_test_data.WEEKS
    assert all(true == predicted >= 60 for true, predicted in lengths)


@pytest.mark.parametrize(
    ("model_id", "label_type"),
    [(STEADY, int), (GETS_WORSE, int), (GETS_BETTER, int), (STRINGS, str), (BOOLEANS, bool)],
)
def test_every_label_of_a_model_has_one_type(model_id: str, label_type: type) -> None:
    types = {type(label) for week in weeks(model_id) for labels in week for label in labels}

    assert types == {label_type}


def test_one_model_gets_worse() -> None:
    first, *_, last = (accuracy_score(*week) for week in weeks(GETS_WORSE))

    assert first - last >= 0.1


def test_one_model_gets_better() -> None:
    first, *_, last = (accuracy_score(*week) for week in weeks(GETS_BETTER))

    assert last - first >= 0.1


def test_every_model_but_the_seed_has_a_schedule() -> None:
    scheduled = [model_id for model_id, *_ in SCHEDULE.findall(TEXT)]

    assert scheduled == [GETS_WORSE, GETS_BETTER, STRINGS, BOOLEANS, NO_RESULTS]


def test_one_scheduled_model_has_no_results() -> None:
    assert weeks(NO_RESULTS) == []
