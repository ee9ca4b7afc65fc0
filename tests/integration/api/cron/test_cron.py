"""GET /cron: validation and preview of a cron expression."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg2.errors import CheckViolation

from tests.support.cron_expressions import INVALID, VALID
from tests.support.databases import Connection, fetch_all, schedule, set_clock


def get_preview(client: FlaskClient, **parameters: Any) -> Any:
    response = client.get("/cron", query_string=parameters)
    assert response.status_code == 200, response.json
    return response.json


def test_cron_preview_spans_a_dst_transition(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-03-28 12:00:00+00")

    response = get_preview(client, expression=" 0,30 2 * * SAT-7", timezone="Europe/Warsaw", count=3)

    assert response == {
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


def test_cron_preview_has_defaults(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:00+00")

    response = get_preview(client, expression="@daily")

    assert response["timezone"] == "UTC"
    assert response["cron_expression"] == "@daily"
    assert [fire["at"] for fire in response["next_fires"]] == [f"2026-11-{day}T00:00:00Z" for day in range(25, 30)]


@pytest.mark.parametrize("expression", INVALID)
def test_invalid_cron_has_the_error_of_the_validation_trigger(
    client: FlaskClient, db: Connection, expression: str
) -> None:
    with pytest.raises(CheckViolation) as refusal:
        schedule(db, cron=expression)

    response = get_preview(client, expression=expression)

    assert (response["valid"], response["description"], response["next_fires"]) == (False, None, [])
    assert response["errors"] == [
        {
            "field": "cron_expression",
            "detail": refusal.value.diag.message_primary,
            "hint": refusal.value.diag.message_hint,
        }
    ]


@pytest.mark.parametrize("expression", VALID)
def test_valid_cron_is_valid_in_the_preview(client: FlaskClient, expression: str) -> None:
    response = get_preview(client, expression=expression.upper(), timezone="America/New_York", count=2)

    assert (response["valid"], response["errors"], response["cron_expression"]) == (True, [], expression)
    assert len(response["next_fires"]) == 2


def test_cron_and_time_zone_errors_are_both_listed(client: FlaskClient) -> None:
    response = get_preview(client, expression="5/15 * * * *", timezone="europe/warsaw")

    assert [(error["field"], error["hint"]) for error in response["errors"]] == [
        ("cron_expression", "Write 5-59/15."),
        ("timezone", "Write Europe/Warsaw."),
    ]


def test_cron_that_never_fires_is_invalid(client: FlaskClient) -> None:
    """The validation trigger accepts it, and the scheduler could never run it."""
    response = get_preview(client, expression="* 2 25-31 3 */7", timezone="Europe/Warsaw")

    assert response["valid"] is False
    assert "never fires in Europe/Warsaw" in response["errors"][0]["detail"]


COUNT_REMEDY = "write a whole number from 1 to 100"


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("", "expression", "expression is missing; it is required"),
        ("expression=@daily&count=0", "count", f'count is "0"; {COUNT_REMEDY}'),
        ("expression=@daily&count=101", "count", f'count is "101"; {COUNT_REMEDY}'),
        ("expression=@daily&count=many", "count", f'count is "many"; {COUNT_REMEDY}'),
        ("expression=@daily&count=00000000100000", "count", f'count is "00000000100000"; {COUNT_REMEDY}'),
        ("expression=@daily&count=٣", "count", f'count is "\\u0663"; {COUNT_REMEDY}'),
        (f"expression=@daily&count={'9' * 5000}", "count", f'count is "{"9" * 79}…; {COUNT_REMEDY}'),
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
def test_invalid_parameter_is_rejected(client: FlaskClient, query: str, parameter: str, detail: str) -> None:
    response: Any = client.get(f"/cron?{query}")

    assert response.status_code == 422
    assert response.content_type == "application/problem+json"
    assert response.json["type"] == "urn:cyclic-metrics:problem:invalid"
    assert response.json["detail"].startswith(detail)
    assert response.json["errors"] == [{"detail": response.json["detail"], "parameter": parameter}]


def test_several_invalid_parameters_are_reported_together(client: FlaskClient) -> None:
    response: Any = client.get("/cron?count=0&timezone=%00")

    assert response.json["detail"].endswith(" (and 2 more, see errors)")
    assert [error["parameter"] for error in response.json["errors"]] == ["expression", "timezone", "count"]


def test_cron_preview_writes_nothing(client: FlaskClient, db: Connection) -> None:
    get_preview(client, expression="* * * * *")

    assert fetch_all(db, "SELECT FROM metrics_executions UNION ALL SELECT FROM crons") == []
