"""What metrics_executions takes, what it refuses, and what it announces."""

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
    one,
    past_the_triggers,
    rows,
    run,
    schedule,
    schedule_many,
    set_clock,
)


@pytest.fixture
def ears(database_url: str) -> Iterator[Connection]:
    """A connection that listens, as the scheduler does."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    run(connection, "LISTEN metrics_executions")
    yield connection
    connection.close()


def heard(ears: Connection) -> list[Any]:
    """Return what was announced since the last call; the answer to a query comes after all that was committed."""
    run(ears, "SELECT 1")
    ears.poll()
    payloads = [json.loads(notify.payload) for notify in ears.notifies]
    ears.notifies.clear()
    return payloads


@pytest.mark.parametrize("expression", VALID)
def test_it_takes(db: Connection, expression: str) -> None:
    schedule(db, cron=expression)

    assert one(db, "SELECT cron_expression FROM metrics_executions") == expression


@pytest.mark.parametrize("expression", INVALID)
def test_it_refuses(db: Connection, expression: str) -> None:
    with pytest.raises(CheckViolation, match="cron_expression") as refusal:
        schedule(db, cron=expression)

    assert refusal.value.diag.message_hint
    assert refusal.value.diag.column_name == "cron_expression"
    assert len(refusal.value.diag.message_primary or "") < 300
    assert rows(db, "SELECT FROM metrics_executions") == []


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
def test_it_says_what_is_wrong_and_what_to_write(db: Connection, expression: str, message: str, hint: str) -> None:
    with pytest.raises(CheckViolation) as refusal:
        schedule(db, cron=expression)

    assert refusal.value.diag.message_primary == f'cron_expression "{expression}" is refused: {message}'
    assert hint in (refusal.value.diag.message_hint or "")


def wrapped(low: int, high: int) -> list[str]:
    """Return all ranges that do not ascend, with some steps, and all values with a step."""
    return [
        *(f"{first}-{last}{step}" for first in range(low, high + 1) for last in range(low, first + 1)
          for step in ("", "/2", f"/{high}")),
        *(f"{first}/{step}" for first in range(low, high + 1) for step in (1, 2, high)),
    ]  # fmt: skip


@pytest.mark.parametrize(("place", "low", "high"), [(0, 0, 59), (1, 0, 23), (2, 1, 31), (3, 1, 12), (4, 0, 7)])
def test_what_it_says_to_write_instead_is_accepted_and_means_that(
    db: Connection, place: int, low: int, high: int
) -> None:
    items = wrapped(low, high)

    hints = rows(
        db,
        "SELECT item, (cron_field_problem(item, %s)).hint FROM unnest(%s::text[]) WITH ORDINALITY AS written (item, n)",
        place + 1, items,
    )  # fmt: skip

    assert len(hints) == len(items)
    for item, hint in hints:
        written = str(hint).removeprefix("Write ").removesuffix(".")
        expression = " ".join(written if field == place else "*" for field in range(5))
        assert cron_model.accepts(expression), (item, hint)
        assert cron_model.read(expression).fields[place] == meant(item, low, high), (item, hint)


def meant(item: str, low: int, high: int) -> set[int]:
    """Return the values of a range that goes on from the start of its field."""
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
def test_it_stores_the_normal_form(db: Connection, written: str, stored: str) -> None:
    schedule(db, MODEL, cron=written)
    schedule(db, OTHER, cron="1 1 1 1 1")
    run(db, "UPDATE metrics_executions SET cron_expression = %s WHERE model_id = %s", written, OTHER)

    assert rows(db, "SELECT DISTINCT cron_expression FROM metrics_executions") == [(stored,)]


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
def test_it_refuses_a_zone(db: Connection, zone: str, hint: str) -> None:
    with pytest.raises(ForeignKeyViolation, match=f'timezone "{zone}" is refused'.replace("+", r"\+")) as refusal:
        schedule(db, zone=zone)

    assert (refusal.value.diag.message_hint or "").startswith(hint)


def test_what_is_too_long_for_an_index_is_refused_as_everything_else(db: Connection) -> None:
    """Random, so that it cannot be compressed."""
    chance = random.Random(1)
    minutes = ",".join(str(chance.randrange(60)) for _ in range(20_000))
    zone = "/" + "".join(chance.choice(string.ascii_letters) for _ in range(5000))
    schedule(db)

    for change in ("cron_expression = %s", "name = 'x', cron_expression = %s"):
        with pytest.raises(CheckViolation, match="bytes long"):
            run(db, f"UPDATE metrics_executions SET {change}", f"{minutes} * * * *")
    with pytest.raises(CheckViolation, match="bytes long"):
        schedule(db, OTHER, f"{minutes} * * * *")
    with pytest.raises(ForeignKeyViolation, match="timezone"):
        schedule(db, OTHER, zone=zone)


def test_the_problems_of_a_schedule_are_those_of_its_normal_form(db: Connection) -> None:
    assert rows(db, "SELECT * FROM schedule_problems(' 0  9 * * MON-FRI', 'UTC')") == []
    assert one(db, "SELECT message FROM schedule_problems('0 0 L * *', 'UTC')").startswith(
        'cron_expression "0 0 l * *" is refused: day-of-month "l"'
    )


def test_a_row_that_got_past_the_gate_is_brought_into_its_normal_form_with_the_next_change(db: Connection) -> None:
    with past_the_triggers(db):
        schedule(db, cron=" 0 9 * *  MON")

    run(db, "UPDATE metrics_executions SET timezone = 'Europe/Warsaw'")

    assert one(db, "SELECT cron_expression FROM metrics_executions") == "0 9 * * mon"


def test_it_refuses_the_whole_statement_for_one_bad_row(db: Connection) -> None:
    with pytest.raises(CheckViolation):
        run(
            db,
            "INSERT INTO metrics_executions (model_id, cron_expression)"
            " VALUES (gen_random_uuid(), '* * * * *'), (gen_random_uuid(), '61 * * * *')",
        )

    assert rows(db, "SELECT FROM metrics_executions") == []


def test_it_refuses_a_null(db: Connection) -> None:
    with pytest.raises(NotNullViolation, match="cron_expression"):
        run(db, "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, NULL)", MODEL)


def test_it_refuses_a_long_name(db: Connection) -> None:
    schedule(db)

    with pytest.raises(CheckViolation, match="it has 201 characters"):
        run(db, "UPDATE metrics_executions SET name = repeat('x', 201)")


def test_it_refuses_a_second_insert_and_names_the_model(db: Connection) -> None:
    schedule(db)

    with pytest.raises(UniqueViolation) as refusal:
        schedule(db)

    assert refusal.value.pgcode == "23505"
    assert MODEL in str(refusal.value)


def test_it_guards_updates_too(db: Connection) -> None:
    schedule(db)

    with pytest.raises(CheckViolation, match="61"):
        run(db, "UPDATE metrics_executions SET cron_expression = '61 * * * *'")
    with pytest.raises(ForeignKeyViolation, match="Mars"):
        run(db, "UPDATE metrics_executions SET timezone = 'Mars/Olympus'")


@pytest.mark.parametrize("change", ["name = 'other'", "run_requested_at = now()", "cron_expression = cron_expression"])
def test_an_update_of_another_column_is_not_checked(db: Connection, change: str) -> None:
    """A row that got past the gate shows it: the check would refuse it."""
    with past_the_triggers(db):
        schedule(db, cron="61 * * * *", zone="Mars/Olympus")

    run(db, f"UPDATE metrics_executions SET {change}")

    with pytest.raises(CheckViolation, match="61"):
        run(db, "UPDATE metrics_executions SET timezone = 'UTC'")


def test_an_insert_announces_its_distinct_pairs(db: Connection, ears: Connection) -> None:
    schedule_many(db, 50, "*/5 * * * *")

    assert heard(ears) == [{"pairs": [["*/5 * * * *", "UTC"]], "requested": False}]


def test_many_pairs_are_announced_as_many(db: Connection, ears: Connection) -> None:
    run(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), minute || ' ' || hour || ' * * *'"
        " FROM generate_series(0, 59) AS minute, generate_series(0, 9) AS hour",
    )

    assert heard(ears) == [{"pairs": None, "requested": False}]


def test_long_expressions_are_announced_as_many(db: Connection, ears: Connection) -> None:
    long = ",".join(str(minute) for minute in range(60)) + ",0" * 150
    run(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), %s || ' ' || hour || ' * * *' FROM generate_series(0, 23) AS hour",
        long,
    )

    assert heard(ears) == [{"pairs": None, "requested": False}]


def test_an_update_announces_what_it_changed(db: Connection, ears: Connection) -> None:
    schedule(db, MODEL, "1 * * * *")
    schedule(db, OTHER, "2 * * * *")
    heard(ears)

    run(db, "UPDATE metrics_executions SET cron_expression = '3 * * * *' WHERE model_id = %s", MODEL)
    assert heard(ears) == [{"pairs": [["3 * * * *", "UTC"]], "requested": False}]

    run(db, "UPDATE metrics_executions SET name = 'the same', cron_expression = cron_expression")
    assert heard(ears) == []


def test_pausing_announces_nothing_and_resuming_announces_the_pair(db: Connection, ears: Connection) -> None:
    schedule(db)
    heard(ears)

    run(db, "UPDATE metrics_executions SET enabled = false")
    assert heard(ears) == []
    run(db, "UPDATE metrics_executions SET enabled = true")
    assert heard(ears) == [{"pairs": [["* * * * *", "UTC"]], "requested": False}]


def test_a_request_to_run_is_announced_once(db: Connection, ears: Connection) -> None:
    schedule(db)
    heard(ears)

    run(db, "UPDATE metrics_executions SET run_requested_at = now()")
    assert heard(ears) == [{"pairs": [], "requested": True}]
    run(db, "UPDATE metrics_executions SET run_requested_at = NULL")
    assert heard(ears) == []


def test_a_request_to_run_is_timed_by_the_clock_of_the_system(db: Connection) -> None:
    schedule(db)
    set_clock(db, "2026-11-24 12:00:00.123456+00")

    run(db, "UPDATE metrics_executions SET run_requested_at = '1999-01-01'")

    requested = one(db, "SELECT run_requested_at FROM metrics_executions")
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
def test_only_what_changes_when_it_runs_makes_it_active_from_now(
    db: Connection, change: str, is_active_from_now: bool
) -> None:
    schedule(db)
    before = one(db, "SELECT active_since FROM metrics_executions")

    run(db, f"UPDATE metrics_executions SET {change}")

    [(active_since, created_at)] = rows(db, "SELECT active_since, created_at FROM metrics_executions")
    assert (active_since > before) == is_active_from_now
    assert created_at == before


def test_updated_at_is_for_changes_by_users(db: Connection) -> None:
    schedule(db)
    created_at = one(db, "SELECT created_at FROM metrics_executions")

    run(db, "UPDATE metrics_executions SET run_requested_at = now()")
    assert one(db, "SELECT updated_at FROM metrics_executions") == created_at
    run(db, "UPDATE metrics_executions SET name = 'digits'")
    assert one(db, "SELECT updated_at FROM metrics_executions") > created_at


def test_times_come_from_the_clock_of_the_system(db: Connection) -> None:
    set_clock(db, "2030-01-01 00:00:00+00")
    schedule(db)

    [row] = rows(db, "SELECT DISTINCT active_since, created_at, updated_at FROM metrics_executions")
    assert {time.year for time in row} == {2030}
    assert {time.utcoffset() for time in row} == {timedelta(0)}
