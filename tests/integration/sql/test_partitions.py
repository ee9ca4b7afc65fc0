"""Table results in partitions, created with the statements of docs/partitions.md."""

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import psycopg2
import pytest
from psycopg2.errors import CheckViolation

from core import postgres
from devstack.cluster import embedded_binaries
from scheduler.settings import Settings
from scheduler.tasks.results_retention import ResultsRetention
from sql.apply import apply
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    execute,
    fetch_all,
    fetch_value,
    newest_label_rows,
    run_baseline,
    set_clock,
)

ADD = "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[1]', '[1]', %s) RETURNING id"
QUIET = "00000000-0000-4000-8000-000000000001"
PARTITIONS = """
    SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'results'::regclass ORDER BY 1
"""
UNDESCRIBED_COLUMNS = """
    SELECT count(*) FROM pg_attribute
    WHERE attrelid = 'results'::regclass AND attnum > 0 AND col_description(attrelid, attnum) IS NULL
"""

RunSection = Callable[[str], None]


def code_below(heading: str) -> str:
    """Return the code below a heading of the document."""
    section = Path("docs/partitions.md").read_text().split(f"\n## {heading}\n")[1].split("\n##")[0]
    groups = groupby(section.splitlines(), key=lambda line: line.startswith("    ") or not line)
    return "\n".join(line for indented, lines in groups if indented for line in lines)


def run_section_on(url: str, heading: str) -> None:
    """Run the code below a heading with psql."""
    psql = [str(embedded_binaries() / "psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", url]
    psql_run = subprocess.run(psql, input=code_below(heading), text=True, capture_output=True, check=False)
    assert (psql_run.returncode, psql_run.stderr) == (0, "")


@pytest.fixture
def db(own_url: str) -> Iterator[Connection]:
    connection = psycopg2.connect(own_url)
    connection.autocommit = True
    set_clock(connection, "2026-12-15 12:00+00")
    yield connection
    connection.close()


@pytest.fixture
def run_section(own_url: str) -> RunSection:
    """Return a function that runs the code below a heading on the database of the test."""
    return partial(run_section_on, own_url)


def partitions(db: Connection) -> list[str]:
    return [name for (name,) in fetch_all(db, PARTITIONS)]


def partition_of(db: Connection, number: int) -> str:
    name: str = fetch_value(db, "SELECT tableoid::regclass::text FROM results WHERE id = %s", number)
    return name


@pytest.mark.parametrize("heading", ["To months", "By model"])
def test_table_in_use_is_converted_to_partitions(
    db: Connection, own_url: str, databases: Databases, run_section: RunSection, heading: str
) -> None:
    first = [fetch_value(db, ADD, model_id, "2026-12-01") for model_id in (MODEL, OTHER, MODEL)]

    run_section(heading)

    client = psycopg2.connect(databases.url_as("metrics_client", own_url))
    client.autocommit = True
    added = fetch_value(client, ADD, MODEL, "2026-12-02")
    with pytest.raises(CheckViolation, match="labels"):
        execute(
            client, "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[]', '[1]', now())", MODEL
        )
    client.close()
    assert added > max(first)
    assert newest_label_rows(db, MODEL, OTHER) == [(OTHER, first[1]), (MODEL, added)]
    assert fetch_value(db, UNDESCRIBED_COLUMNS) == 0
    execute(db, "SET enable_seqscan = off; SET enable_bitmapscan = off")
    plan = "\n".join(line for (line,) in fetch_all(db, f"EXPLAIN SELECT * FROM newest_label_rows('{{{MODEL}}}')"))
    assert plan.count("Index Scan using results_") == len(partitions(db))
    assert "->  Sort" not in plan


@pytest.mark.parametrize("heading", ["To months", "By model"])
def test_database_with_partitions_is_upgraded(databases: Databases, passwords: dict[str, str], heading: str) -> None:
    with databases.empty() as url:
        run_baseline(url)
        run_section_on(url, heading)

        apply(url, passwords=passwords, test_data=True)

        db = psycopg2.connect(url)
        assert fetch_value(db, "SELECT count(*) FROM results") == 40
        assert fetch_value(db, "SELECT obj_description('results'::regclass)").startswith("The label rows")
        assert fetch_value(db, "SELECT count(*) FROM pg_index WHERE indrelid = 'results'::regclass") == 2
        db.close()


def test_rows_go_to_the_partition_of_their_month_or_to_the_default_one(db: Connection, run_section: RunSection) -> None:
    run_section("To months")
    for _ in range(2):
        run_section("Months ahead")
    early = fetch_value(db, ADD, MODEL, "2027-04-15")
    assert partition_of(db, early) == "results_others"
    set_clock(db, "2027-01-15 12:00+00")
    run_section("Months ahead")

    months = ["results_2027_01", "results_2027_02", "results_2027_03", "results_2027_04"]
    assert partitions(db) == [*months, "results_before_2027", "results_others"]
    assert partition_of(db, early) == "results_2027_04"
    for timestamp, name in [
        ("1999-01-01", "results_before_2027"),
        ("2026-12-31 23:59:59.999999+00", "results_before_2027"),
        ("2027-01-01 00:00+00", "results_2027_01"),
        ("2027-04-30", "results_2027_04"),
        ("2035-01-01", "results_others"),
        ("infinity", "results_others"),
    ]:
        assert partition_of(db, fetch_value(db, ADD, MODEL, timestamp)) == name


def test_dropping_a_month_keeps_the_newest_label_row_of_every_model(db: Connection, run_section: RunSection) -> None:
    kept = [fetch_value(db, ADD, QUIET, timestamp) for timestamp in ("2026-10-01", "2026-11-01")][-1]
    fetch_value(db, ADD, MODEL, "2026-12-01")
    run_section("To months")
    run_section("Months ahead")
    fetch_value(db, ADD, QUIET, "2031-01-01")  # ignored until then
    set_clock(db, "2027-02-01 00:00+00")
    last = fetch_value(db, ADD, MODEL, "2027-01-31")

    run_section("Old months")

    assert partitions(db) == ["results_2027_01", "results_2027_02", "results_2027_03", "results_others"]
    assert newest_label_rows(db, MODEL, QUIET) == [(QUIET, kept), (MODEL, last)]
    assert fetch_value(db, "SELECT count(*) FROM results") == 3


@pytest.mark.parametrize("headings", [["To months", "Months ahead"], ["By model"]])
def test_results_retention_deletes_rows_of_partitions(
    db: Connection,
    own_url: str,
    databases: Databases,
    run_section: RunSection,
    headings: list[str],
) -> None:
    for heading in headings:
        run_section(heading)
    set_clock(db, "2027-03-15 00:00+00")
    for month in range(1, 4):
        for model_id in (MODEL, OTHER, QUIET)[:month]:
            fetch_value(db, ADD, model_id, f"2027-0{4 - month}-10")
    session = postgres.connect(databases.url_as("metrics_scheduler", own_url), "tests")
    settings = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused", "RESULTS_RETENTION": "30"}
    old = ResultsRetention(session, Settings.from_env(settings), batch_interval=0.0)

    while old.delete_some() == 0.0:
        pass

    session.close()
    assert fetch_all(db, "SELECT model_id::text, timestamp::date::text FROM results ORDER BY timestamp") == [
        (QUIET, "2027-01-10"),
        (OTHER, "2027-02-10"),
        (MODEL, "2027-03-10"),
    ]
