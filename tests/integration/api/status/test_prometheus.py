"""What Prometheus is told."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from api.main import create_app
from api.settings import Settings
from api.status import collector
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY
from core.results.keys import COUNTS_KEY
from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    model_ids,
    run,
    schedule,
    schedule_many,
    set_clock,
)
from tests.support.queue import raw_message

Key = tuple[str, tuple[tuple[str, str], ...]]
Start = Callable[..., FlaskClient]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}  # as Prometheus
STRANGE_NAME = 'a "quoted"\nname\\n, {with} \\" everything, zażółć\r🦆'


@pytest.fixture
def start(databases: Databases, database_url: str, redis_url: str) -> Start:
    """Return a function that starts an API; variables are given as in the environment."""
    servers = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}

    def make(**env: str) -> FlaskClient:
        return create_app(Settings.from_env(servers | env)).test_client()

    return make


def scrape(client: FlaskClient) -> dict[Key, float]:
    """Return every sample by its name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        key(sample.name, **sample.labels): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def key(name: str, /, **labels: str) -> Key:
    return name, tuple(sorted(labels.items()))


def ours(name: str, /, **labels: str) -> Key:
    return key(f"cyclic_metrics_{name}", **labels)


@pytest.fixture
def busy(db: Connection, redis_url: str, redis_client: redis.Redis) -> None:
    """A system that has something of everything, at half past noon and 20 s."""
    schedule(db, MODEL)
    schedule(db, OTHER, "0 9 * * *")
    run(db, "UPDATE metrics_executions SET name = 'churn', enabled = model_id <> %s", OTHER)
    set_clock(db, "2026-11-24 12:30:20+00")
    run(
        db,
        "UPDATE leader SET name = 'x', since = '2026-11-24 11:00+00', looked_at = '2026-11-24 12:30:18+00',"
        " error = 'full'",
    )
    run(db, "UPDATE retired_fires SET fires = 1000, models = 200000, messages = 3000, skipped = 40")
    run(
        db,
        "INSERT INTO fires VALUES"
        " ('2026-11-24 12:10+00', '2026-11-24 12:10:00.005+00', '2026-11-24 12:10:00.205+00', 2, 500, 5, 0, 'x'),"
        " ('2026-11-24 12:20+00', '2026-11-24 12:20:00.25+00', '2026-11-24 12:20:01.75+00', 2, 1000, 10, 0, 'x'),"
        " ('2026-11-24 12:25+00', NULL, NULL, 0, 0, 0, 7, 'x')",
    )
    run(
        db,
        "INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version) VALUES"
        " ('1 * * * *', 'UTC', '2026-11-24 12:25+00', 'x'), ('2 * * * *', 'UTC', '2026-11-24 12:28+00', 'x'),"
        " ('3 * * * *', 'UTC', '2026-11-24 12:30+00', 'x'), ('4 * * * *', 'UTC', '2026-11-24 12:40+00', 'x')",
    )
    run(
        db,
        "INSERT INTO crons (cron_expression, timezone, error, tzdata_version)"
        " VALUES ('* * * * *', 'UTC', 'cannot be fired', 'x')",
    )
    results = ResultStore(redis_client)
    good = Result(MODEL, NOON, NOON, "ok", 0.75, 8, 7, NOON)
    results.save([replace(good, due_at=NOON - timedelta(minutes=1), accuracy=0.5), good])
    results.save([Result(OTHER, NOON, NOON, "error", error="labels that are null")])


def test_the_figures_are_those_of_the_servers(busy: None, start: Start) -> None:
    found = scrape(start())

    noon = NOON.timestamp()
    expected = {
        ours("up", server="postgresql"): 1,
        ours("up", server="redis"): 1,
        ours("clock_timestamp_seconds"): noon + 1820,
        ours("fires_total"): 1002,
        ours("fired_models_total"): 201_500,
        ours("sent_messages_total"): 3015,
        ours("skipped_moments_total"): 47,
        ours("last_fire_due_timestamp_seconds"): noon + 1200,
        ours("last_fire_lag_seconds"): 0.25,
        ours("last_fire_duration_seconds"): 1.5,
        ours("leader_looked_timestamp_seconds"): noon + 1818,
        ours("leader_since_timestamp_seconds"): noon - 3600,
        ours("leader_error"): 1,
        ours("late_pairs"): 2,
        ours("late_oldest_age_seconds"): 320,
        ours("error_pairs"): 1,
        ours("schedules", enabled="true"): 1,
        ours("schedules", enabled="false"): 1,
        ours("models_left_out"): 0,
        ours("queue_messages"): 0,
        ours("queue_oldest_age_seconds"): 0,
        ours("taken_messages"): 0,
        ours("taken_oldest_age_seconds"): 0,
        ours("results_total", status="ok"): 2,
        ours("results_total", status="no_data"): 0,
        ours("results_total", status="error"): 1,
        ours("failing_models"): 1,
        ours("model_accuracy", model_id=MODEL, name="churn"): 0.75,
        ours("model_samples", model_id=MODEL, name="churn"): 8,
        ours("model_samples", model_id=OTHER, name="churn"): 0,
        ours("model_result_timestamp_seconds", model_id=MODEL, name="churn"): noon,
        ours("model_result_timestamp_seconds", model_id=OTHER, name="churn"): noon,
    }
    of_the_api = ("cyclic_metrics_http_request_", "process_")
    assert {name: value for name, value in found.items() if not name[0].startswith(of_the_api)} == expected
    assert found[key("process_start_time_seconds")] > 0


def test_what_waits_and_what_is_at_work_has_an_age(start: Start, redis_client: redis.Redis) -> None:
    seconds, microseconds = redis_client.time()
    now = seconds + microseconds / 1e6
    redis_client.lpush(QUEUE, raw_message([MODEL], datetime.fromtimestamp(now - 600, UTC)), "newer")
    redis_client.zadd(UNACKED_INDEX_KEY, {"one": now - 90, "two": now - 10})

    found = scrape(start())

    assert found[ours("queue_messages")] == 2
    assert found[ours("queue_oldest_age_seconds")] == pytest.approx(600, abs=30)
    assert found[ours("taken_messages")] == 2
    assert found[ours("taken_oldest_age_seconds")] == pytest.approx(90, abs=30)


def test_a_message_of_somebody_else_has_no_age(start: Start, redis_client: redis.Redis) -> None:
    redis_client.lpush(QUEUE, "nonsense")

    found = scrape(start())

    assert found[ours("queue_messages")] == 1
    assert ours("queue_oldest_age_seconds") not in found


def test_before_the_first_scheduler_there_is_nothing_to_say_of_it(start: Start) -> None:
    found = scrape(start())

    assert found[ours("fires_total")] == 0
    assert found[ours("late_oldest_age_seconds")] == 0
    for name in ("leader_looked_timestamp_seconds", "last_fire_due_timestamp_seconds", "last_fire_lag_seconds"):
        assert ours(name) not in found


def test_names_may_have_any_characters(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    schedule(db)
    run(db, "UPDATE metrics_executions SET name = %s", STRANGE_NAME)
    ResultStore(redis_client).save([Result(MODEL, NOON, NOON, "ok", 0.75, 8, 7, NOON)])
    client = start()

    found = scrape(client)
    answer = client.get("/metrics", headers=OPENMETRICS)

    wanted = ours("model_accuracy", model_id=MODEL, name=STRANGE_NAME)
    assert found[wanted] == 0.75
    families = openmetrics_parser.text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    assert [s.value for s in samples if key(s.name, **s.labels) == wanted] == [0.75]


def test_the_first_models_are_shown_and_the_rest_is_counted(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    models = model_ids(5)
    for model_id in reversed(models):
        schedule(db, model_id)
    ResultStore(redis_client).save(Result(model_id, NOON, NOON, "ok", 0.5, 8, 7, NOON) for model_id in models)

    shown = {}
    for most in ("0", "3", "5", "100"):
        found = scrape(start(MODEL_METRICS=most))
        labels = [dict(labels) for name, labels in found if name == "cyclic_metrics_model_accuracy"]
        shown[most] = ([label["model_id"] for label in labels], found[ours("models_left_out")])

    assert shown == {"0": ([], 5), "3": (models[:3], 2), "5": (models, 0), "100": (models, 0)}


def test_schedules_are_counted_now_and_then(db: Connection, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start()
    schedule_many(db, 3)
    first = scrape(client)[ours("schedules", enabled="true")]
    schedule_many(db, 4)
    soon = scrape(client)[ours("schedules", enabled="true")]
    monkeypatch.setattr(collector, "COUNT_INTERVAL", 0.0)
    other = start()

    later = [scrape(other)[ours("schedules", enabled="true")]]
    schedule_many(db, 1)
    later.append(scrape(other)[ours("schedules", enabled="true")])

    assert (first, soon, later) == (3, 3, [7, 8])


@pytest.mark.parametrize("away", [{"DATABASE_URL"}, {"REDIS_URL"}, {"DATABASE_URL", "REDIS_URL"}])
def test_a_server_that_is_away_costs_its_own_figures_alone(busy: None, start: Start, away: set[str]) -> None:
    found = scrape(start(**{name: NOWHERE[name] for name in away}))

    assert found[ours("up", server="postgresql")] == ("DATABASE_URL" not in away)
    assert found[ours("up", server="redis")] == ("REDIS_URL" not in away)
    assert (
        (ours("fires_total") in found) == (ours("schedules", enabled="true") in found) == ("DATABASE_URL" not in away)
    )
    assert (ours("queue_messages") in found) == (ours("failing_models") in found) == ("REDIS_URL" not in away)
    assert (ours("model_samples", model_id=MODEL, name="churn") in found) == (not away)


def test_a_database_of_an_earlier_version_is_as_good_as_away(db: Connection, start: Start) -> None:
    run(db, "ALTER TABLE retired_fires RENAME TO unknown")
    client = start()

    found = [scrape(client)[ours("up", server="postgresql")]]
    run(db, "ALTER TABLE unknown RENAME TO retired_fires")
    found.append(scrape(client)[ours("up", server="postgresql")])

    assert found == [0, 1]


def test_requests_are_timed_by_the_template_of_their_route(start: Start) -> None:
    client = start()
    for path in (f"/results/{MODEL}", f"/results/{OTHER}", "/nowhere/1", "/nowhere/2"):
        client.get(path)
    client.open("/nowhere", method="BREW")
    client.open("/healthz", method="BREW")

    found = scrape(client)

    counts = {
        tuple(dict(labels)[name] for name in ("method", "route", "status")): value
        for (sample, labels), value in found.items()
        if sample == "cyclic_metrics_http_request_duration_seconds_count"
    }
    assert counts == {
        ("GET", "/results/<model_id>", "404"): 2,
        ("GET", "other", "404"): 2,
        ("other", "other", "404"): 1,
        ("other", "other", "405"): 1,
    }
    bucket = {"method": "GET", "route": "other", "status": "404", "le": "10.0"}
    assert found[ours("http_request_duration_seconds_bucket", **bucket)] == 2


def test_two_applications_count_for_themselves(start: Start) -> None:
    start().get("/healthz")

    assert not [name for name, _ in scrape(start()) if name.endswith("_seconds_count")]


@pytest.mark.parametrize(
    ("accepted", "media_type"),
    [
        (OPENMETRICS["Accept"], "application/openmetrics-text"),
        ("application/openmetrics-text; version=x; escaping=y", "application/openmetrics-text"),
        ("text/plain; version=x", "text/plain"),
        ("text/html", "text/plain"),
        ("*/*;q=x,,;", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_it_speaks_what_the_caller_accepts(start: Start, accepted: str, media_type: str) -> None:
    answer = start().get("/metrics", headers={"Accept": accepted})

    assert answer.status_code == 200
    assert answer.mimetype == media_type
    assert answer.text.endswith("# EOF\n") == (media_type != "text/plain")


@pytest.mark.parametrize(
    "member",
    ["", "\xff", "x", "7", "{}", "[]", "[1,2,7]", "[1e99,2,0,0.5,8]", '[1,2,0,"x",8]', "[1,2,0,0.5,[]]", "[" * 9999],
)
def test_what_is_no_result_costs_the_figures_of_its_model_alone(
    busy: None, start: Start, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture, member: str
) -> None:
    redis_client.zadd(f"metrics:results:{OTHER}", {member.encode("latin-1"): 2e9})
    client = start()

    found = scrape(client)
    answers = [client.get(path) for path in (f"/results?model_id={OTHER}&model_id={MODEL}", f"/schedule/{OTHER}")]

    assert found[ours("up", server="redis")] == 1
    assert found[ours("model_accuracy", model_id=MODEL, name="churn")] == 0.75
    assert ours("model_samples", model_id=OTHER, name="churn") not in found
    assert f"result of model {OTHER} is unreadable: b" in caplog.text
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json["missing"] == [OTHER]  # type: ignore[index]


def test_figures_that_are_none_cost_only_themselves(busy: None, start: Start, redis_client: redis.Redis) -> None:
    client = start()
    redis_client.hset(COUNTS_KEY, "ok", "many")
    redis_client.delete(UNACKED_INDEX_KEY)
    redis_client.zadd(UNACKED_INDEX_KEY, {"x": 1e99})
    found = scrape(client)

    assert (found[ours("up", server="postgresql")], found[ours("up", server="redis")]) == (1, 1)
    assert found[ours("results_total", status="ok")] == 0
    assert found[ours("taken_messages")] == 1
    assert ours("taken_oldest_age_seconds") not in found


def test_rules_and_dashboard_ask_for_what_is_there(busy: None, start: Start) -> None:
    client = start()
    client.get("/healthz")
    names = {name for name, _ in scrape(client)}
    dashboard = json.loads(Path("docs/grafana-dashboard.json").read_text())

    for text in (Path("docs/prometheus-alerts.yml").read_text(), json.dumps(dashboard)):
        asked = set(re.findall(r"cyclic_metrics_\w+", text))
        assert len(asked) > 10
        assert asked <= names


def test_the_table_of_metrics_is_complete(busy: None, start: Start) -> None:
    client = start()
    client.get("/healthz")
    names = {re.sub("_(bucket|sum|count)$", "", name) for name, _ in scrape(client)}

    section = Path("docs/operations.md").read_text().split("## Prometheus and Grafana")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = {name for cell in cells for name in re.findall(r"`([a-z_]+)", cell)}

    assert {f"cyclic_metrics_{name}" for name in listed} == {name for name in names if name.startswith("cyclic_")}


def test_it_is_for_those_who_have_a_token(start: Start) -> None:
    client = start(API_TOKENS="prometheus:read:" + "0" * 64)

    assert client.get("/metrics").status_code == 401
