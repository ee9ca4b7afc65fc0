"""Contents of the committed test data, parsed from the script."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from sklearn.metrics import accuracy_score

from sql import generate_test_data

SCRIPT = generate_test_data.OUTPUT_FILE.read_text(encoding="utf-8")
LABEL_ROW = re.compile(r"^    \('([^']+)', '(\[[^']+\])', '(\[[^']+\])', '([^']+)'\)", re.MULTILINE)
SCHEDULE = re.compile(r"^    \('([^']+)', '([^'\[]+)', '([^'\[]+)', '([^']+)'\)", re.MULTILINE)
STEADY, FALLING, RISING, STRINGS, BOOLEANS, NO_LABEL_ROWS = (model.model_id for model in generate_test_data.MODELS)


def weeks(model_id: str) -> list[tuple[list[Any], list[Any]]]:
    rows = [row for row in LABEL_ROW.findall(SCRIPT) if row[0] == model_id]
    return [(json.loads(y_true), json.loads(y_pred)) for _, y_true, y_pred, _ in rows]


def test_committed_file_is_the_output_of_the_generator() -> None:
    assert generate_test_data.generate_script() == SCRIPT, "run python -m sql.generate_test_data"


def test_first_model_is_the_one_of_the_readme() -> None:
    assert STEADY == "550e8400-e29b-41d4-a716-446655440000"


def test_every_model_id_is_a_version_4_uuid() -> None:
    versions = {UUID(model.model_id).version for model in generate_test_data.MODELS}

    assert versions == {4}


@pytest.mark.parametrize("model_id", [STEADY, FALLING, RISING, STRINGS, BOOLEANS])
def test_every_row_has_a_prediction_for_each_true_label(model_id: str) -> None:
    lengths = [(len(y_true), len(y_pred)) for y_true, y_pred in weeks(model_id)]

    assert len(lengths) == generate_test_data.WEEKS
    assert all(true == predicted >= 60 for true, predicted in lengths)


@pytest.mark.parametrize(
    ("model_id", "label_type"),
    [(STEADY, int), (FALLING, int), (RISING, int), (STRINGS, str), (BOOLEANS, bool)],
)
def test_every_label_of_a_model_has_one_type(model_id: str, label_type: type) -> None:
    types = {type(label) for week in weeks(model_id) for labels in week for label in labels}

    assert types == {label_type}


def test_accuracy_of_one_model_falls() -> None:
    first, *_, last = (accuracy_score(*week) for week in weeks(FALLING))

    assert first - last >= 0.1


def test_accuracy_of_one_model_rises() -> None:
    first, *_, last = (accuracy_score(*week) for week in weeks(RISING))

    assert last - first >= 0.1


def test_every_model_but_the_first_has_a_schedule() -> None:
    scheduled = [model_id for model_id, *_ in SCHEDULE.findall(SCRIPT)]

    assert scheduled == [FALLING, RISING, STRINGS, BOOLEANS, NO_LABEL_ROWS]


def test_one_scheduled_model_has_no_label_rows() -> None:
    assert weeks(NO_LABEL_ROWS) == []
