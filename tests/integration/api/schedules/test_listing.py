"""The list of schedules, held against a plain filter over the view."""

import random
import uuid
from collections.abc import Iterator
from itertools import product
from typing import Any

import psycopg2
import pytest
import redis
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from api.problems import InvalidRequest
from api.schedules.listing import by_status
from api.schedules.listing import cursor as cursors
from api.schedules.listing import page as listing
from api.schedules.listing.cursor import Filters
from api.schedules.listing.page import STATUSES, read_page
from core.results.keys import FAILING_KEY
from core.results.models import Failure
from core.results.repository import ResultStore
from tests.support.databases import MODEL, OTHER, Connection, Databases, model_ids, rows, run, schedule, set_clock

NOON = "2026-11-24 12:00:00+00"
CRONS = ["* * * * *", "*/5 * * * mon", "0 9 * * *", "@daily"]
ZONES = ["UTC", "Europe/Warsaw", "Pacific/Apia"]
NAMES = [None, "churn, EU", "Churn_100 %", "fraud 00000000", "Ärger"]
SEARCHES = ["chURN", "_100 %", "n_1", "00000000-", "0000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "%", "é", "ä"]
TIMES = ["2026-11-24 11:00:00+00", "2026-11-24 11:59:15+00", "2026-11-24 11:59:45+00", "2026-11-24 12:01:00+00"]
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
    connection = psycopg2.connect(databases.url_as("metrics_api", database_url))
    connection.autocommit = True
    with connection.cursor() as opened:
        yield opened
    connection.close()


class World:
    """Schedules in every state that there may be."""

    def __init__(self, db: Connection, client: redis.Redis, seed: int) -> None:
        self.chance = random.Random(seed)
        self.db = db
        self.client = client
        set_clock(db, NOON)
        run(db, "SET session_replication_role = replica")  # without the triggers: with any active_since
        self.add(80, [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)])
        for cron, zone in product(CRONS, ZONES):
            self.settle(cron, zone)
        client.zadd(
            FAILING_KEY, {self._model_id(): self.chance.choice([0, 1, 2.5]) for _ in range(10)}
        )  # without schedules

    def add(self, count: int, others: list[uuid.UUID] | None = None) -> None:
        added = [*(self._model_id() for _ in range(count)), *map(str, others or [])]
        pick = self.chance.choice
        values = [(it, pick(NAMES), pick(CRONS), pick(ZONES), self.chance.random() < 0.8, pick(TIMES)) for it in added]
        statement = """
            INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, enabled, active_since) VALUES %s
        """
        with self.db.cursor() as opened:
            execute_values(opened, statement, values)
        self.client.zadd(FAILING_KEY, {it: pick([0, 1, 2.5]) for it in added[::3]})

    def settle(self, cron: str, zone: str) -> None:
        """Let the scheduler know the pair in some way, or not at all; it may also know one without schedules."""
        state = self.chance.choice(["absent", "nothing", "error", "both", "due", "due", "due", "due"])
        if state == "absent":
            return
        due = self.chance.choice(TIMES) if state in {"due", "both"} else None
        error = "bad" if state in {"error", "both"} else None
        run(self.db, "INSERT INTO crons VALUES (%s, %s, %s, NULL, %s, 'x')", cron, zone, due, error)

    def change(self, fixed: set[str]) -> None:
        """Insert and delete, but none of the fixed ones."""
        self.add(3)
        gone = self.chance.sample([it for it in self.all() if it not in fixed], 3)
        run(self.db, "DELETE FROM metrics_executions WHERE model_id = ANY (%s::uuid[])", gone)
        self.client.zrem(FAILING_KEY, *gone[:2])

    def all(self) -> list[str]:
        return [it for (it,) in rows(self.db, "SELECT model_id::text FROM metrics_executions ORDER BY model_id")]

    def fitting(self, filters: Filters) -> set[str]:
        members: Any = self.client.zrange(FAILING_KEY, 0, -1)
        failing = {member.decode() for member in members}
        return {
            model_id
            for model_id, name, cron, zone, enabled, status in rows(
                self.db, "SELECT model_id::text, name, cron_expression, timezone, enabled, status FROM schedule_status"
            )
            if is_found(filters.search, name, model_id)
            and filters.cron in {None, cron}
            and filters.zone in {None, zone}
            and filters.enabled in {None, enabled}
            and (filters.status in {None, status} or (filters.status == "failing" and model_id in failing))
        }

    def _model_id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128)))


def is_found(search: str | None, name: str | None, model_id: str) -> bool:
    if search is None or search.casefold() in (name or "").casefold():
        return True
    return len(search) >= 4 and model_id.startswith(search)


def listed(cur: cursor, results: ResultStore, filters: Filters, limit: int) -> list[str]:
    found, after = [], None
    while True:
        schedules, after = read_page(cur, lambda: results, filters, after, limit)
        assert len(schedules) <= limit
        found += [schedule.model_id for schedule in schedules]
        if after is None:
            return found


@pytest.fixture(params=[False, True], ids=["with the usual bounds", "with bounds that are reached at once"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few schedules have to stand for a million."""
    if request.param:
        monkeypatch.setattr(listing, "SEARCH_BUDGET", 0)
        monkeypatch.setattr(listing, "CHUNK_SIZE", 5)
        monkeypatch.setattr(listing, "MAX_FAILURES_SCANNED", 5)
        monkeypatch.setattr(by_status, "MAX_STEPS", 2)
        monkeypatch.setattr(by_status, "WINDOW", 2)
        monkeypatch.setattr(by_status, "MAX_RECORDED_SPECS", 2)


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("seed", range(3))
def test_each_combination_of_filters_lists_what_fits(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore, seed: int
) -> None:
    world = World(db, redis_client, seed)

    for filters in COMBINATIONS:
        found = listed(cur, results, filters, world.chance.choice([1, 2, 7, 100]))

        assert sorted(found) == sorted(world.fitting(filters)), filters


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("seed", range(3))
def test_what_fits_throughout_is_listed_once_while_others_come_and_go(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore, seed: int
) -> None:
    world = World(db, redis_client, seed)

    for filters in world.chance.sample([it for it in COMBINATIONS if len(world.fitting(it)) > 5], 25):
        fixed = set(sorted(world.fitting(filters))[::3])
        found: list[str] = []
        after = None
        while True:
            schedules, after = read_page(cur, lambda: results, filters, after, 2)
            found += [schedule.model_id for schedule in schedules]
            if after is None:
                break
            world.change(fixed)

        assert fixed <= set(found), filters
        assert len(found) == len(set(found)), filters


def test_the_rows_are_those_of_the_view(db: Connection, cur: cursor, results: ResultStore) -> None:
    schedule(db, MODEL, "0 12 * * *", "Europe/Warsaw")

    [found] = read_page(cur, lambda: results, Filters(), None, 10).schedules

    assert (found.model_id, found.cron_expression, found.timezone) == (MODEL, "0 12 * * *", "Europe/Warsaw")
    assert (found.enabled, found.status, found.next_run_at) == (True, "new", None)


def test_without_filters_they_come_in_the_order_of_their_models(
    db: Connection, cur: cursor, results: ResultStore
) -> None:
    ids = model_ids(5)
    for model_id in reversed(ids):
        schedule(db, model_id)

    assert listed(cur, results, Filters(), 2) == ids


def test_cron_is_compared_in_its_normal_form(db: Connection, cur: cursor, results: ResultStore) -> None:
    schedule(db, MODEL, "*/5 * * * mon")
    schedule(db, OTHER, "*/5 * * * tue")

    for status in (None, "new"):
        assert listed(cur, results, Filters(cron=" */5  * *\t* MON", status=status), 2) == [MODEL]


def test_the_latest_to_fail_comes_first(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    ids = model_ids(4)
    for model_id in ids:
        schedule(db, model_id)
    redis_client.zadd(FAILING_KEY, {ids[0]: 2, ids[1]: 1, ids[3]: 3})

    assert listed(cur, results, Filters(status="failing"), 1) == [ids[3], ids[0], ids[1]]


def test_what_is_no_model_keeps_none_that_fails_from_the_list(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    schedule(db)
    redis_client.zadd(FAILING_KEY, {MODEL.encode(): 1, b"junk": 2, b"\xff": 3})

    assert listed(cur, results, Filters(status="failing"), 10) == [MODEL]


def test_a_cursor_belongs_to_its_filters(db: Connection, cur: cursor, results: ResultStore) -> None:
    for model_id in model_ids(3):
        schedule(db, model_id)
    after = read_page(cur, lambda: results, Filters(zone="UTC"), None, 1).next_cursor
    assert after is not None

    assert len(read_page(cur, lambda: results, Filters(zone="UTC"), after, 10).schedules) == 2
    with pytest.raises(InvalidRequest, match=r"^after ") as refused:
        read_page(cur, lambda: results, Filters(zone="UTC", enabled=True), after, 10)

    assert [error.parameter for error in refused.value.errors] == ["after"]


def forged(filters: Filters, *values: Any) -> str:
    return cursors.encode(filters, values)  # type: ignore[arg-type]  # what others may write


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
def test_a_cursor_of_somebody_else_is_refused(cur: cursor, results: ResultStore, after: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^after "):
        read_page(cur, lambda: results, Filters(), after, 10)


@pytest.mark.parametrize("since", [float("nan"), float("inf"), "", None])
def test_a_place_among_the_failures_is_a_number(cur: cursor, results: ResultStore, since: Any) -> None:
    filters = Filters(status="failing")

    with pytest.raises(InvalidRequest, match=r"^after "):
        read_page(cur, lambda: results, filters, forged(filters, since, MODEL), 10)


def test_a_search_begins_at_no_place_among_the_failures(cur: cursor, results: ResultStore) -> None:
    filters = Filters(status="failing", search="churn")

    with pytest.raises(InvalidRequest, match=r"^after "):
        read_page(cur, lambda: results, filters, forged(filters, 1.5, MODEL), 10)


@pytest.mark.parametrize("position", [cursors.Position("ż 1", "", None), Failure(1764000000.123, MODEL)])
def test_a_cursor_needs_no_quoting_in_an_address(position: cursors.Position | Failure) -> None:
    filters = Filters(cron="ż ?&\n", status="failing")

    text = cursors.encode(filters, position)

    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert cursors.decode(filters, text) == position
