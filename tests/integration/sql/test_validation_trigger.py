"""Validation triggers of metrics_executions: validation, normalization, timestamps and notifications."""

import json
import random
import string
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation, NotNullViolation, UniqueViolation

from tests.support import cron_model
from tests.support.cron_expressions import INVALID, VALID
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    bypass_triggers,
    execute,
    fetch_all,
    fetch_value,
    schedule,
    schedule_many,
    set_clock,
)


@pytest.fixture
def listener(database_url: str) -> Iterator[Connection]:
    """Connection that listens to the channel, like the scheduler's."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    execute(connection, "LISTEN metrics_executions")
    yield connection
    connection.close()


def received_payloads(listener: Connection) -> list[Any]:
    """Return the payloads since the last call; those of committed transactions precede the response to the query."""
    execute(listener, "SELECT 1")
    listener.poll()
    payloads = [json.loads(notify.payload) for notify in listener.notifies]
    listener.notifies.clear()
    return payloads


@pytest.mark.parametrize("expression", VALID)
def test_valid_cron_expression_is_accepted_unchanged(db: Connection, expression: str) -> None:
    schedule(db, cron=expression)

    assert fetch_value(db, "SELECT cron_expression FROM metrics_executions") == expression


@pytest.mark.parametrize("expression", INVALID)
def test_invalid_cron_expression_is_rejected(db: Connection, expression: str) -> None:
    with pytest.raises(CheckViolation, match="cron_expression") as raised:
        schedule(db, cron=expression)

    assert raised.value.diag.message_hint
    assert raised.value.diag.column_name == "cron_expression"
    assert len(raised.value.diag.message_primary or "") < 300
    assert fetch_all(db, "SELECT FROM metrics_executions") == []


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("5/15 * * * *", 'minute "5/15" has a step without a range', "Write 5-59/15."),
        ("59/5 * * * *", 'minute "59/5" has a step without a range', "Write 59."),
        ("5/0 * * * *", 'minute "5/0": the step 0 is not between 1 and 59', "Write a step from 1 to 59."),
        ("70/5 * * * *", 'minute "70/5": 70 is not between 0 and 59', "Write 0 to 59."),
        ("9-9 * * * *", 'minute "9-9" does not ascend', "Write 9."),
        ("* 22-2 * * *", 'hour "22-2" does not ascend', "Write 22-23,0-2."),
        ("0 22-2/3 * * *", 'hour "22-2/3" does not ascend', "Write 1,22."),
        ("0 0 * dec-feb *", 'month "dec-feb" does not ascend', "Write 12,1-2."),
        ("* * * * fri-mon", 'day-of-week "fri-mon" does not ascend', "Write 5-7,1."),
        ("* * * * fri-sun", 'day-of-week "fri-sun" does not ascend', "Write 5-7."),
        ("* * * * 7-2", 'day-of-week "7-2" does not ascend', "Write 7,1-2."),
        ("* * * * 7-0", 'day-of-week "7-0" does not ascend', "Write 7."),
        ("*/90 * * * *", 'minute "*/90": the step is not between 1 and 59', "Write a step from 1 to 59."),
        ("60 * * * *", 'minute "60": 60 is not between 0 and 59', "Write 0 to 59."),
        ("007 * * * *", 'minute "007" has too many digits', "Write 0 to 59."),
        ("0 0 31 2 *", 'day-of-month "31" never comes in month "2"', "Write a day that the month has."),
        ("0 0 31 4,6 *", 'day-of-month "31" never comes in month "4,6"', "Write a day that the month has."),
        ("0 0 0 * * *", "the expression has 6 fields", "Seconds and years are not supported."),
        ("0 0 0 * * * 2030", "the expression has 7 fields", "Seconds and years are not supported."),
        ("@reboot", "this alias is not known", "Write @yearly,"),
        ("@every 5m", "this alias is not known", "or five fields such as */5 * * * *."),
        ("*,5 * * * *", 'minute "*" stands in a list', "Write * or */step alone"),
        ("0 0 * foo *", 'month "foo": "foo" is not a name of a month', "or one of jan, feb"),
        ("0 0 * * monday", 'day-of-week "monday" is not supported', "Write mon: names have three letters."),
        ("0 0 ? * *", 'day-of-month "?" is not supported', "Write *."),
        ("0 0 l * *", 'day-of-month "l" is not supported', "last days and nearest weekdays cannot be named"),
        ("0 0 15w * *", 'day-of-month "15w" is not supported', "last days and nearest weekdays cannot be named"),
        ("h * * * *", 'minute "h" is not supported', "Write a value of your choice, from 0 to 59"),
        ("r r * * *", 'minute "r" is not supported', "Write a value of your choice, from 0 to 59"),
        ("0 0 * * mon#2", 'day-of-week "mon#2" is not supported', "Write mon for each of these weekdays"),
        ("0 0 * * fril", 'day-of-week "fril" is not supported', "last days and nearest weekdays cannot be named"),
        ("0 0 * * jan#2", 'day-of-week "jan#2" is not understood', "Write *, */step, a value from 0 to 7"),
        ("*/007 * * * *", 'minute "*/007" has too many digits', "Write a step from 1 to 59."),
        ("*/5/5 * * * *", 'minute "*/5/5" is not understood', "Write *, */step, a value from 0 to 59"),
        ("0 9 * * mon, fri", "the expression has 6 fields", "with no blank inside a field"),
        ("* * * * ٣", "the expression holds characters that are not printable ASCII", "Write plain digits"),
        ("", "the expression is empty", "Write five fields"),
        ("x * * * *", 'minute "x" is not understood', "Write *, */step, a value from 0 to 59, a range"),
    ],
)
def test_error_has_the_invalid_part_and_a_hint(db: Connection, expression: str, message: str, hint: str) -> None:
    with pytest.raises(CheckViolation) as raised:
        schedule(db, cron=expression)

    assert raised.value.diag.message_primary == f'cron_expression "{expression}" is refused: {message}'
    assert hint in (raised.value.diag.message_hint or "")


def items_without_ascending_range(low: int, high: int) -> list[str]:
    """Return all ranges that do not ascend, with some steps, and all single values with a step."""
    return [
        *(f"{first}-{last}{step}" for first in range(low, high + 1) for last in range(low, first + 1)
          for step in ("", "/2", f"/{high}")),
        *(f"{first}/{step}" for first in range(low, high + 1) for step in (1, 2, high)),
    ]  # fmt: skip


@pytest.mark.parametrize(("field_index", "low", "high"), [(0, 0, 59), (1, 0, 23), (2, 1, 31), (3, 1, 12), (4, 0, 7)])
def test_suggested_correction_is_valid_and_equivalent(db: Connection, field_index: int, low: int, high: int) -> None:
    items = items_without_ascending_range(low, high)

    hints = fetch_all(
        db,
        "SELECT item, (cron_field_problem(item, %s)).hint FROM unnest(%s::text[]) WITH ORDINALITY AS input (item, n)",
        field_index + 1, items,
    )  # fmt: skip

    assert len(hints) == len(items)
    for item, hint in hints:
        replacement = str(hint).removeprefix("Write ").removesuffix(".")
        expression = " ".join(replacement if field == field_index else "*" for field in range(5))
        assert cron_model.is_valid(expression), (item, hint)
        assert cron_model.parse(expression).fields[field_index] == wrapped_values(item, low, high), (item, hint)


def wrapped_values(item: str, low: int, high: int) -> set[int]:
    """Return the values of a range that may wrap around the end of its field."""
    ends, _, step = item.partition("/")
    first, _, last = ends.partition("-")
    week = high == 7
    size, start = (7, int(first) % 7) if week else (high - low + 1, int(first))
    if not last:
        return {value % 7 if week else value for value in range(int(first), high + 1, int(step))}
    end = int(last) % 7 if week else int(last)
    length = (end - start) % size + 1
    return {(start + offset - low) % size + low for offset in range(0, length, int(step or 1))}


@pytest.mark.parametrize(
    ("written", "stored"),
    [(" \t0  9 *\t* MON-Fri ", "0 9 * * mon-fri"), (" @Daily", "@daily"), ("* * * * *", "* * * * *")],
)
def test_cron_expression_is_stored_normalized(db: Connection, written: str, stored: str) -> None:
    schedule(db, MODEL, cron=written)
    schedule(db, OTHER, cron="1 1 1 1 1")
    execute(db, "UPDATE metrics_executions SET cron_expression = %s WHERE model_id = %s", written, OTHER)

    assert fetch_all(db, "SELECT DISTINCT cron_expression FROM metrics_executions") == [(stored,)]


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("europe/warsaw", "Write Europe/Warsaw."),
        (" UTC", "Write UTC."),
        ("UTC+3", "Write UTC, or an IANA name"),
        ("CET", "Write UTC, or an IANA name"),
        ("EET", "Write UTC, or an IANA name"),
        ("MET", "Write UTC, or an IANA name"),
        ("WET", "Write UTC, or an IANA name"),
        ("Europe/Warsaw5", "Write UTC, or an IANA name"),
        ("right/Europe/Warsaw", "Write UTC, or an IANA name"),
        ("localtime", "Write UTC, or an IANA name"),
        ("Factory", "Write UTC, or an IANA name"),
        ("posix/Europe/Warsaw", "Write UTC, or an IANA name"),
        ("", "Write UTC, or an IANA name"),
    ],
)
def test_unknown_time_zone_is_rejected(db: Connection, zone: str, hint: str) -> None:
    with pytest.raises(ForeignKeyViolation, match=f'timezone "{zone}" is refused'.replace("+", r"\+")) as raised:
        schedule(db, zone=zone)

    assert (raised.value.diag.message_hint or "").startswith(hint)


def test_value_too_long_for_an_index_is_rejected_by_validation(db: Connection) -> None:
    """Random values, which PostgreSQL cannot compress."""
    chance = random.Random(1)
    minutes = ",".join(str(chance.randrange(60)) for _ in range(20_000))
    zone = "/" + "".join(chance.choice(string.ascii_letters) for _ in range(5000))
    schedule(db)

    for change in ("cron_expression = %s", "name = 'x', cron_expression = %s"):
        with pytest.raises(CheckViolation, match="bytes long"):
            execute(db, f"UPDATE metrics_executions SET {change}", f"{minutes} * * * *")
    with pytest.raises(CheckViolation, match="bytes long"):
        schedule(db, OTHER, f"{minutes} * * * *")
    with pytest.raises(ForeignKeyViolation, match="timezone"):
        schedule(db, OTHER, zone=zone)


def test_schedule_problems_normalizes_the_cron_expression(db: Connection) -> None:
    assert fetch_all(db, "SELECT * FROM schedule_problems(' 0  9 * * MON-FRI', 'UTC')") == []
    assert fetch_value(db, "SELECT message FROM schedule_problems('0 0 L * *', 'UTC')").startswith(
        'cron_expression "0 0 l * *" is refused: day-of-month "l"'
    )


def test_row_that_bypassed_the_triggers_is_normalized_by_the_next_change(db: Connection) -> None:
    with bypass_triggers(db):
        schedule(db, cron=" 0 9 * *  MON")

    execute(db, "UPDATE metrics_executions SET timezone = 'Europe/Warsaw'")

    assert fetch_value(db, "SELECT cron_expression FROM metrics_executions") == "0 9 * * mon"


def test_one_invalid_row_rejects_the_whole_statement(db: Connection) -> None:
    with pytest.raises(CheckViolation):
        execute(
            db,
            "INSERT INTO metrics_executions (model_id, cron_expression)"
            " VALUES (gen_random_uuid(), '* * * * *'), (gen_random_uuid(), '61 * * * *')",
        )

    assert fetch_all(db, "SELECT FROM metrics_executions") == []


def test_null_cron_expression_is_rejected(db: Connection) -> None:
    with pytest.raises(NotNullViolation, match="cron_expression"):
        execute(db, "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, NULL)", MODEL)


def test_name_over_200_characters_is_rejected(db: Connection) -> None:
    schedule(db)

    with pytest.raises(CheckViolation, match="it has 201 characters"):
        execute(db, "UPDATE metrics_executions SET name = repeat('x', 201)")


def test_second_schedule_of_a_model_is_rejected_by_model_id(db: Connection) -> None:
    schedule(db)

    with pytest.raises(UniqueViolation) as raised:
        schedule(db)

    assert raised.value.pgcode == "23505"
    assert MODEL in str(raised.value)


def test_updates_are_validated(db: Connection) -> None:
    schedule(db)

    with pytest.raises(CheckViolation, match="61"):
        execute(db, "UPDATE metrics_executions SET cron_expression = '61 * * * *'")
    with pytest.raises(ForeignKeyViolation, match="Mars"):
        execute(db, "UPDATE metrics_executions SET timezone = 'Mars/Olympus'")


@pytest.mark.parametrize("change", ["name = 'other'", "run_requested_at = now()", "cron_expression = cron_expression"])
def test_update_of_other_columns_is_not_validated(db: Connection, change: str) -> None:
    """The row bypassed the triggers; validation would reject it."""
    with bypass_triggers(db):
        schedule(db, cron="61 * * * *", zone="Mars/Olympus")

    execute(db, f"UPDATE metrics_executions SET {change}")

    with pytest.raises(CheckViolation, match="61"):
        execute(db, "UPDATE metrics_executions SET timezone = 'UTC'")


def test_insert_notifies_of_distinct_cron_specs(db: Connection, listener: Connection) -> None:
    schedule_many(db, 50, "*/5 * * * *")

    assert received_payloads(listener) == [{"pairs": [["*/5 * * * *", "UTC"]], "requested": False}]


def test_notification_of_more_than_100_cron_specs_lists_none(db: Connection, listener: Connection) -> None:
    execute(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), minute || ' ' || hour || ' * * *'"
        " FROM generate_series(0, 59) AS minute, generate_series(0, 9) AS hour",
    )

    assert received_payloads(listener) == [{"pairs": None, "requested": False}]


def test_notification_over_the_size_limit_lists_no_cron_specs(db: Connection, listener: Connection) -> None:
    long = ",".join(str(minute) for minute in range(60)) + ",0" * 150
    execute(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), %s || ' ' || hour || ' * * *' FROM generate_series(0, 23) AS hour",
        long,
    )

    assert received_payloads(listener) == [{"pairs": None, "requested": False}]


def test_update_notifies_of_changed_cron_specs(db: Connection, listener: Connection) -> None:
    schedule(db, MODEL, "1 * * * *")
    schedule(db, OTHER, "2 * * * *")
    received_payloads(listener)

    execute(db, "UPDATE metrics_executions SET cron_expression = '3 * * * *' WHERE model_id = %s", MODEL)
    assert received_payloads(listener) == [{"pairs": [["3 * * * *", "UTC"]], "requested": False}]

    execute(db, "UPDATE metrics_executions SET name = 'the same', cron_expression = cron_expression")
    assert received_payloads(listener) == []


def test_pausing_does_not_notify_and_resuming_does(db: Connection, listener: Connection) -> None:
    schedule(db)
    received_payloads(listener)

    execute(db, "UPDATE metrics_executions SET enabled = false")
    assert received_payloads(listener) == []
    execute(db, "UPDATE metrics_executions SET enabled = true")
    assert received_payloads(listener) == [{"pairs": [["* * * * *", "UTC"]], "requested": False}]


def test_run_request_notifies_once(db: Connection, listener: Connection) -> None:
    schedule(db)
    received_payloads(listener)

    execute(db, "UPDATE metrics_executions SET run_requested_at = now()")
    assert received_payloads(listener) == [{"pairs": [], "requested": True}]
    execute(db, "UPDATE metrics_executions SET run_requested_at = NULL")
    assert received_payloads(listener) == []


def test_run_request_has_the_time_of_the_system_clock(db: Connection) -> None:
    schedule(db)
    set_clock(db, "2026-11-24 12:00:00.123456+00")

    execute(db, "UPDATE metrics_executions SET run_requested_at = '1999-01-01'")

    requested = fetch_value(db, "SELECT run_requested_at FROM metrics_executions")
    assert requested.isoformat(timespec="milliseconds") == "2026-11-24T12:00:00.123+00:00"
    assert requested.microsecond == 123000


@pytest.mark.parametrize(
    ("change", "is_active_from_now"),
    [
        ("cron_expression = '5 * * * *'", True),
        ("timezone = 'Europe/Warsaw'", True),
        ("enabled = false", True),
        ("model_id = gen_random_uuid()", True),
        ("name = 'other'", False),
        ("cron_expression = ' *  * * * * '", False),
        ("run_requested_at = now()", False),
        ("active_since = '1999-01-01', created_at = '1999-01-01', updated_at = '1999-01-01'", False),
    ],
)
def test_active_since_is_set_by_changes_of_due_times_only(
    db: Connection, change: str, is_active_from_now: bool
) -> None:
    schedule(db)
    before = fetch_value(db, "SELECT active_since FROM metrics_executions")

    execute(db, f"UPDATE metrics_executions SET {change}")

    [(active_since, created_at)] = fetch_all(db, "SELECT active_since, created_at FROM metrics_executions")
    assert (active_since > before) == is_active_from_now
    assert created_at == before


def test_updated_at_is_set_by_changes_of_users_only(db: Connection) -> None:
    schedule(db)
    created_at = fetch_value(db, "SELECT created_at FROM metrics_executions")

    execute(db, "UPDATE metrics_executions SET run_requested_at = now()")
    assert fetch_value(db, "SELECT updated_at FROM metrics_executions") == created_at
    execute(db, "UPDATE metrics_executions SET name = 'digits'")
    assert fetch_value(db, "SELECT updated_at FROM metrics_executions") > created_at


def test_timestamps_come_from_the_system_clock(db: Connection) -> None:
    set_clock(db, "2030-01-01 00:00:00+00")
    schedule(db)

    [row] = fetch_all(db, "SELECT DISTINCT active_since, created_at, updated_at FROM metrics_executions")
    assert {time.year for time in row} == {2030}
    assert {time.utcoffset() for time in row} == {timedelta(0)}
