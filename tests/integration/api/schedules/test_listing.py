"""The list of schedules, compared with a plain filter over the view."""

import random
import uuid
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import psycopg2
import pytest
import redis
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from api.problems import InvalidRequest
from api.schedules.listing import cursor as cursors
from api.schedules.listing.cursor import Filters
from api.schedules.listing.limits import DEFAULT_LIMITS, SearchLimits
from api.schedules.listing.page import STATUSES, Search, read_page
from core.results.keys import FAILING_KEY
from core.results.models import Failure
from core.results.repository import ResultStore
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    execute,
    fetch_all,
    model_ids,
    schedule,
    set_clock,
)

NOON = "2026-11-24 12:00:00+00"
CRONS = ["* * * * *", "*/5 * * * mon", "0 9 * * *", "@daily"]
ZONES = ["UTC", "Europe/Warsaw", "Pacific/Apia"]
NAMES = [None, "churn, EU", "Churn_100 %", "fraud 00000000", "Ärger"]
SEARCHES = ["chURN", "_100 %", "n_1", "00000000-", "0000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "%", "é", "ä"]
TIMESTAMPS = ["2026-11-24 11:00:00+00", "2026-11-24 11:59:15+00", "2026-11-24 11:59:45+00", "2026-11-24 12:01:00+00"]
COMBINATIONS = [
    Filters(*values)
    for values in product([None, *CRONS[:3], "@yearly"], [None, *ZONES], [None, True, False], [None, *STATUSES])
] + [
    Filters(cron, zone, enabled, status, search)
    for (cron, zone, enabled), status, search in product(
        [(None, None, None), (CRONS[0], None, True), (None, "UTC", None)], [None, *STATUSES], SEARCHES
    )
]


@pytest.fixture
def results(redis_client: redis.Redis) -> ResultStore:
    return ResultStore(redis_client)


@pytest.fixture
def cur(databases: Databases, database_url: str, db: Connection) -> Iterator[cursor]:
    conn = psycopg2.connect(databases.url_as("metrics_api", database_url))
    conn.autocommit = True
    with conn.cursor() as cur:
        yield cur
    conn.close()


class Row(NamedTuple):
    """The values of a schedule that filters compare."""

    model_id: str
    name: str | None
    cron: str
    zone: str
    enabled: bool
    status: str
    failing: bool

    def matches(self, filters: Filters) -> bool:
        return (
            matches_search(filters.search, self.name, self.model_id)
            and filters.cron in {None, self.cron}
            and filters.zone in {None, self.zone}
            and filters.enabled in {None, self.enabled}
            and (filters.status in {None, self.status} or (filters.status == "failing" and self.failing))
        )


class RandomSchedules:
    """Schedules in all possible states, at random."""

    def __init__(self, db: Connection, client: redis.Redis, seed: int) -> None:
        self.rng = random.Random(seed)
        self.db = db
        self.client = client
        set_clock(db, NOON)
        execute(db, "SET session_replication_role = replica")  # without the triggers: with any active_since
        self.add(80, [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)])
        for cron, zone in product(CRONS, ZONES):
            self.record_spec(cron, zone)
        client.zadd(
            FAILING_KEY, {self._model_id(): self.rng.choice([0, 1, 2.5]) for _ in range(10)}
        )  # without schedules

    def add(self, count: int, others: list[uuid.UUID] | None = None) -> None:
        added = [*(self._model_id() for _ in range(count)), *map(str, others or [])]
        choose = self.rng.choice
        values = [
            (model_id, choose(NAMES), choose(CRONS), choose(ZONES), self.rng.random() < 0.8, choose(TIMESTAMPS))
            for model_id in added
        ]
        statement = """
            INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, enabled, active_since) VALUES %s
        """
        with self.db.cursor() as cur:
            execute_values(cur, statement, values)
        self.client.zadd(FAILING_KEY, {model_id: choose([0, 1, 2.5]) for model_id in added[::3]})

    def record_spec(self, cron: str, zone: str) -> None:
        """Record a cron spec in a random state, or not at all; also one without schedules."""
        state = self.rng.choice(["absent", "absent", "error", "error", "due", "due", "due", "due"])
        if state == "absent":
            return
        due = self.rng.choice(TIMESTAMPS) if state == "due" else None
        error = "bad" if state == "error" else None
        execute(self.db, "INSERT INTO crons VALUES (%s, %s, %s, NULL, %s, 'x')", cron, zone, due, error)

    def change(self, fixed: set[str]) -> None:
        """Insert and delete schedules, but none of the fixed ones."""
        self.add(3)
        deleted = self.rng.sample([model_id for model_id in self.all() if model_id not in fixed], 3)
        execute(self.db, "DELETE FROM metrics_executions WHERE model_id = ANY (%s::uuid[])", deleted)
        self.client.zrem(FAILING_KEY, *deleted[:2])

    def all(self) -> list[str]:
        return [
            model_id
            for (model_id,) in fetch_all(self.db, "SELECT model_id::text FROM metrics_executions ORDER BY model_id")
        ]

    def snapshot(self) -> list[Row]:
        """Return the schedules as they are."""
        failing: Any = self.client.zrange(FAILING_KEY, 0, -1)
        query = "SELECT model_id::text, name, cron_expression, timezone, enabled, status FROM schedule_status"
        rows = fetch_all(self.db, query)
        return [Row._make((model_id, *others, model_id.encode() in failing)) for model_id, *others in rows]

    def _model_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128)))


def matching(rows: list[Row], filters: Filters) -> set[str]:
    return {row.model_id for row in rows if row.matches(filters)}


def matches_search(search: str | None, name: str | None, model_id: str) -> bool:
    if search is None or search.casefold() in (name or "").casefold():
        return True
    return len(search) >= 4 and model_id.startswith(search)


def list_all(
    cur: cursor, results: ResultStore, filters: Filters, limit: int, limits: SearchLimits = DEFAULT_LIMITS
) -> list[str]:
    search = Search(cur, lambda: results, filters, limits)
    listed, after = [], None
    while True:
        schedules, after = read_page(search, after, limit)
        assert len(schedules) <= limit
        listed += [schedule.model_id for schedule in schedules]
        if after is None:
            return listed


# Such that a few schedules reach them as a million would.
SMALL_LIMITS = SearchLimits(
    time_budget=0.0, chunk_size=5, max_failures_scanned=5, max_steps=2, window=2, max_recorded_specs=2
)
with_usual_and_small_limits = pytest.mark.parametrize(
    "limits", [DEFAULT_LIMITS, SMALL_LIMITS], ids=["usual limits", "small limits"]
)


@with_usual_and_small_limits
@pytest.mark.parametrize("seed", range(3))
def test_each_combination_of_filters_lists_the_matching_schedules(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore, seed: int, limits: SearchLimits
) -> None:
    stored = RandomSchedules(db, redis_client, seed)
    rows = stored.snapshot()

    for filters in COMBINATIONS:
        listed = list_all(cur, results, filters, stored.rng.choice([1, 2, 7, 100]), limits)

        assert sorted(listed) == sorted(matching(rows, filters)), filters


@with_usual_and_small_limits
@pytest.mark.parametrize("seed", range(3))
def test_matching_schedules_are_listed_once_while_others_change(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore, seed: int, limits: SearchLimits
) -> None:
    stored = RandomSchedules(db, redis_client, seed)
    rows = stored.snapshot()

    frequent = [filters for filters in COMBINATIONS if len(matching(rows, filters)) > 5]
    for filters in stored.rng.sample(frequent, 25):
        fixed = set(sorted(matching(stored.snapshot(), filters))[::3])
        search = Search(cur, lambda: results, filters, limits)
        listed: list[str] = []
        after = None
        while True:
            schedules, after = read_page(search, after, 2)
            listed += [schedule.model_id for schedule in schedules]
            if after is None:
                break
            stored.change(fixed)

        assert fixed <= set(listed), filters
        assert len(listed) == len(set(listed)), filters


def test_listed_schedules_are_rows_of_the_view(db: Connection, cur: cursor, results: ResultStore) -> None:
    schedule(db, MODEL, "0 12 * * *", "Europe/Warsaw")

    [listed] = read_page(Search(cur, lambda: results, Filters()), None, 10).schedules

    assert (listed.model_id, listed.cron_expression, listed.timezone) == (MODEL, "0 12 * * *", "Europe/Warsaw")
    assert (listed.enabled, listed.status, listed.next_run_at) == (True, "new", None)


def test_unfiltered_schedules_are_ordered_by_model(db: Connection, cur: cursor, results: ResultStore) -> None:
    ids = model_ids(5)
    for model_id in reversed(ids):
        schedule(db, model_id)

    assert list_all(cur, results, Filters(), 2) == ids


def test_cron_filter_is_normalized(db: Connection, cur: cursor, results: ResultStore) -> None:
    schedule(db, MODEL, "*/5 * * * mon")
    schedule(db, OTHER, "*/5 * * * tue")

    for status in (None, "new"):
        assert list_all(cur, results, Filters(cron=" */5  * *\t* MON", status=status), 2) == [MODEL]


def test_latest_failure_is_listed_first(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    ids = model_ids(4)
    for model_id in ids:
        schedule(db, model_id)
    redis_client.zadd(FAILING_KEY, {ids[0]: 2, ids[1]: 1, ids[3]: 3})

    assert list_all(cur, results, Filters(status="failing"), 1) == [ids[3], ids[0], ids[1]]


def test_foreign_members_hide_no_failing_model(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    schedule(db)
    redis_client.zadd(FAILING_KEY, {MODEL.encode(): 1, b"junk": 2, b"\xff": 3})

    assert list_all(cur, results, Filters(status="failing"), 10) == [MODEL]


def test_cursor_is_rejected_with_other_filters(db: Connection, cur: cursor, results: ResultStore) -> None:
    for model_id in model_ids(3):
        schedule(db, model_id)
    after = read_page(Search(cur, lambda: results, Filters(zone="UTC")), None, 1).next_cursor
    assert after is not None

    assert len(read_page(Search(cur, lambda: results, Filters(zone="UTC")), after, 10).schedules) == 2
    with pytest.raises(InvalidRequest, match=r"^after ") as rejected:
        read_page(Search(cur, lambda: results, Filters(zone="UTC", enabled=True)), after, 10)

    assert [error.parameter for error in rejected.value.errors] == ["after"]


def forged(filters: Filters, *values: Any) -> str:
    return cursors.encode(filters, values)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    "after",
    [
        "", "x", "é", "=", "\ud800", "bnVsbA", MODEL, "W" * 9999, "W1tb" * 9999,
        forged(Filters()), forged(Filters(), "", ""), forged(Filters(), "\0", "", MODEL),
        forged(Filters(), "", "\ud800", None), forged(Filters(), "", "", "x"), forged(Filters(), "", "", MODEL.upper()),
        forged(Filters(), 1, 2, MODEL), forged(Filters(), 1.5, MODEL),
        forged(Filters(), float("nan"), MODEL), forged(Filters(), "", "", MODEL, 1),
    ],
)  # fmt: skip
def test_forged_cursor_is_rejected(cur: cursor, results: ResultStore, after: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^after "):
        read_page(Search(cur, lambda: results, Filters()), after, 10)


@pytest.mark.parametrize("since", [float("nan"), float("inf"), "", None])
def test_cursor_of_a_failure_needs_a_finite_number(cur: cursor, results: ResultStore, since: Any) -> None:
    filters = Filters(status="failing")

    with pytest.raises(InvalidRequest, match=r"^after "):
        read_page(Search(cur, lambda: results, filters), forged(filters, since, MODEL), 10)


def test_search_rejects_a_cursor_of_a_failure(cur: cursor, results: ResultStore) -> None:
    filters = Filters(status="failing", search="churn")

    with pytest.raises(InvalidRequest, match=r"^after "):
        read_page(Search(cur, lambda: results, filters), forged(filters, 1.5, MODEL), 10)


@pytest.mark.parametrize("position", [cursors.Position("ż 1", "", None), Failure(1764000000.123, MODEL)])
def test_cursor_needs_no_quoting_in_a_url(position: cursors.Position | Failure) -> None:
    filters = Filters(cron="ż ?&\n", status="failing")

    text = cursors.encode(filters, position)

    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert cursors.decode(filters, text) == position
