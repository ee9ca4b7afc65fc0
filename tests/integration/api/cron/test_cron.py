"""GET /cron: trying an expression."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg2.errors import CheckViolation

from tests.support.cron_expressions import INVALID, VALID
from tests.support.databases import Connection, rows, schedule, set_clock


def ask(client: FlaskClient, **parameters: Any) -> Any:
    answer = client.get("/cron", query_string=parameters)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_it_previews_a_night_of_daylight_saving(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-03-28 12:00:00+00")

    answer = ask(client, expression=" 0,30 2 * * SAT-7", timezone="Europe/Warsaw", count=3)

    assert answer == {
        "cron_expression": "0,30 2 * * sat-7",
        "timezone": "Europe/Warsaw",
        "valid": True,
        "errors": [],
        "description": "Every 30 minutes, between 02:00 and 02:59, only on Saturday and Sunday",
        "next_fires": [
            {
                "at": "2026-03-29T01:00:00Z",
                "local": "2026-03-29T03:00:00+02:00",
                "daylight_saving": "merged",
                "stands_for": ["2026-03-29T02:00:00", "2026-03-29T02:30:00"],
            },
            {
                "at": "2026-04-04T00:00:00Z",
                "local": "2026-04-04T02:00:00+02:00",
                "daylight_saving": None,
                "stands_for": [],
            },
            {
                "at": "2026-04-04T00:30:00Z",
                "local": "2026-04-04T02:30:00+02:00",
                "daylight_saving": None,
                "stands_for": [],
            },
        ],
    }


def test_it_has_defaults(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:00+00")

    answer = ask(client, expression="@daily")

    assert answer["timezone"] == "UTC"
    assert answer["cron_expression"] == "@daily"
    assert [fire["at"] for fire in answer["next_fires"]] == [f"2026-11-{day}T00:00:00Z" for day in range(25, 30)]


@pytest.mark.parametrize("expression", INVALID)
def test_it_refuses_in_the_words_of_the_gate(client: FlaskClient, db: Connection, expression: str) -> None:
    with pytest.raises(CheckViolation) as refusal:
        schedule(db, cron=expression)

    answer = ask(client, expression=expression)

    assert (answer["valid"], answer["description"], answer["next_fires"]) == (False, None, [])
    assert answer["errors"] == [
        {
            "field": "cron_expression",
            "detail": refusal.value.diag.message_primary,
            "hint": refusal.value.diag.message_hint,
        }
    ]


@pytest.mark.parametrize("expression", VALID)
def test_it_takes_what_the_gate_takes(client: FlaskClient, expression: str) -> None:
    answer = ask(client, expression=expression.upper(), timezone="America/New_York", count=2)

    assert (answer["valid"], answer["errors"], answer["cron_expression"]) == (True, [], expression)
    assert len(answer["next_fires"]) == 2


def test_it_names_both_faults(client: FlaskClient) -> None:
    answer = ask(client, expression="5/15 * * * *", timezone="europe/warsaw")

    assert [(error["field"], error["hint"]) for error in answer["errors"]] == [
        ("cron_expression", "Write 5-59/15."),
        ("timezone", "Write Europe/Warsaw."),
    ]


def test_it_says_that_daylight_saving_leaves_nothing(client: FlaskClient) -> None:
    """The gate takes it, and the scheduler could never fire it."""
    answer = ask(client, expression="* 2 25-31 3 */7", timezone="Europe/Warsaw")

    assert answer["valid"] is False
    assert "never fires in Europe/Warsaw" in answer["errors"][0]["detail"]


COUNT = "write a whole number from 1 to 100"


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ("", "expression", "expression is missing; it is required"),
        ("expression=@daily&count=0", "count", f'count is "0"; {COUNT}'),
        ("expression=@daily&count=101", "count", f'count is "101"; {COUNT}'),
        ("expression=@daily&count=many", "count", f'count is "many"; {COUNT}'),
        ("expression=@daily&count=00000000100000", "count", f'count is "00000000100000"; {COUNT}'),
        ("expression=@daily&count=٣", "count", f'count is "\\u0663"; {COUNT}'),
        (f"expression=@daily&count={'9' * 5000}", "count", f'count is "{"9" * 79}…; {COUNT}'),
        ("expression=%00", "expression", 'expression is "\\u0000"; write it without NUL'),
        ("expression=@daily&timezone=%00", "timezone", 'timezone is "\\u0000"; write it without NUL'),
        (
            "expression=@daily&tz=UTC",
            "tz",
            '"tz" is not a parameter of /cron; there are expression, timezone, count',
        ),
        ("expression=@daily&expression=@daily", "expression", "expression is there 2 times; write it once"),
    ],
)
def test_it_refuses_a_parameter(client: FlaskClient, query: str, parameter: str, said: str) -> None:
    answer: Any = client.get(f"/cron?{query}")

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "urn:cyclic-metrics:problem:invalid"
    assert answer.json["detail"].startswith(said)
    assert answer.json["errors"] == [{"detail": answer.json["detail"], "parameter": parameter}]


def test_it_refuses_several_parameters_at_once(client: FlaskClient) -> None:
    answer: Any = client.get("/cron?count=0&timezone=%00")

    assert answer.json["detail"].endswith(" (and 2 more, see errors)")
    assert [error["parameter"] for error in answer.json["errors"]] == ["expression", "timezone", "count"]


def test_it_writes_nothing(client: FlaskClient, db: Connection) -> None:
    ask(client, expression="* * * * *")

    assert rows(db, "SELECT FROM metrics_executions UNION ALL SELECT FROM crons") == []
