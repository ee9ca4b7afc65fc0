"""Metrics for Prometheus."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from api.main import create_app
from api.settings import Settings
from api.status.collector import SystemCollector
from api.status.prometheus import EXTENSION
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY
from core.results.keys import COUNTS_KEY
from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.celery_queue import raw_message
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    execute,
    model_ids,
    schedule,
    schedule_many,
    set_clock,
)

Key = tuple[str, tuple[tuple[str, str], ...]]
StartApi = Callable[..., FlaskClient]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNREACHABLE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}  # as Prometheus
SPECIAL_CHARACTERS = 'a "quoted"\nname\\n, {with} \\" everything, zażółć\r🦆'


@pytest.fixture
def start_api(databases: Databases, database_url: str, redis_url: str) -> StartApi:
    """Return a function that starts an API with environment variables."""
    servers = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}

    def make(**env: str) -> FlaskClient:
        return create_app(Settings.from_env(servers | env)).test_client()

    return make


def scrape(client: FlaskClient) -> dict[Key, float]:
    """Return every sample by its name and labels."""
    response = client.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        key(sample.name, **sample.labels): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def key(name: str, /, **labels: str) -> Key:
    return name, tuple(sorted(labels.items()))


def metric(name: str, /, **labels: str) -> Key:
    return key(f"cyclic_metrics_{name}", **labels)


@pytest.fixture
def busy_system(db: Connection, redis_url: str, redis_client: redis.Redis) -> None:
    """A system with a sample of each metric, at 12:30:20."""
    schedule(db, MODEL)
    schedule(db, OTHER, "0 9 * * *")
    execute(db, "UPDATE metrics_executions SET name = 'churn', enabled = model_id <> %s", OTHER)
    set_clock(db, "2026-11-24 12:30:20+00")
    execute(
        db,
        "UPDATE leader SET name = 'x', since = '2026-11-24 11:00+00', looked_at = '2026-11-24 12:30:18+00',"
        " error = 'full'",
    )
    execute(db, "UPDATE retired_fires SET fires = 1000, models = 200000, messages = 3000, skipped = 40")
    execute(
        db,
        "INSERT INTO fires VALUES"
        " ('2026-11-24 12:10+00', '2026-11-24 12:10:00.005+00', '2026-11-24 12:10:00.205+00', 2, 500, 5, 0, 'x'),"
        " ('2026-11-24 12:20+00', '2026-11-24 12:20:00.25+00', '2026-11-24 12:20:01.75+00', 2, 1000, 10, 0, 'x'),"
        " ('2026-11-24 12:25+00', NULL, NULL, 0, 0, 0, 7, 'x')",
    )
    execute(
        db,
        "INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version) VALUES"
        " ('1 * * * *', 'UTC', '2026-11-24 12:25+00', 'x'), ('2 * * * *', 'UTC', '2026-11-24 12:28+00', 'x'),"
        " ('3 * * * *', 'UTC', '2026-11-24 12:30+00', 'x'), ('4 * * * *', 'UTC', '2026-11-24 12:40+00', 'x')",
    )
    execute(
        db,
        "INSERT INTO crons (cron_expression, timezone, error, tzdata_version)"
        " VALUES ('* * * * *', 'UTC', 'cannot be fired', 'x')",
    )
    results = ResultStore(redis_client)
    good = Result(MODEL, NOON, NOON, "ok", 0.75, 8, 7, NOON)
    results.save([replace(good, due_at=NOON - timedelta(minutes=1), accuracy=0.5), good])
    results.save([Result(OTHER, NOON, NOON, "error", error="labels that are null")])


def test_metrics_of_all_servers(busy_system: None, start_api: StartApi) -> None:
    samples = scrape(start_api())

    noon = NOON.timestamp()
    expected = {
        metric("up", server="postgresql"): 1,
        metric("up", server="redis"): 1,
        metric("clock_timestamp_seconds"): noon + 1820,
        metric("fires_total"): 1002,
        metric("fired_models_total"): 201_500,
        metric("sent_messages_total"): 3015,
        metric("skipped_moments_total"): 47,
        metric("last_fire_due_timestamp_seconds"): noon + 1200,
        metric("last_fire_lag_seconds"): 0.25,
        metric("last_fire_duration_seconds"): 1.5,
        metric("leader_looked_timestamp_seconds"): noon + 1818,
        metric("leader_since_timestamp_seconds"): noon - 3600,
        metric("leader_error"): 1,
        metric("late_pairs"): 2,
        metric("late_oldest_age_seconds"): 320,
        metric("error_pairs"): 1,
        metric("schedules", enabled="true"): 1,
        metric("schedules", enabled="false"): 1,
        metric("models_left_out"): 0,
        metric("queue_messages"): 0,
        metric("queue_oldest_age_seconds"): 0,
        metric("taken_messages"): 0,
        metric("taken_oldest_age_seconds"): 0,
        metric("results_total", status="ok"): 2,
        metric("results_total", status="no_data"): 0,
        metric("results_total", status="error"): 1,
        metric("failing_models"): 1,
        metric("model_accuracy", model_id=MODEL, name="churn"): 0.75,
        metric("model_samples", model_id=MODEL, name="churn"): 8,
        metric("model_samples", model_id=OTHER, name="churn"): 0,
        metric("model_result_timestamp_seconds", model_id=MODEL, name="churn"): noon,
        metric("model_result_timestamp_seconds", model_id=OTHER, name="churn"): noon,
    }
    of_the_api = ("cyclic_metrics_http_request_", "process_")
    assert {name: value for name, value in samples.items() if not name[0].startswith(of_the_api)} == expected
    assert samples[key("process_start_time_seconds")] > 0


def test_waiting_and_taken_messages_have_an_age(start_api: StartApi, redis_client: redis.Redis) -> None:
    seconds, microseconds = redis_client.time()
    now = seconds + microseconds / 1e6
    redis_client.lpush(QUEUE, raw_message([MODEL], datetime.fromtimestamp(now - 600, UTC)), "newer")
    redis_client.zadd(UNACKED_INDEX_KEY, {"one": now - 90, "two": now - 10})

    samples = scrape(start_api())

    assert samples[metric("queue_messages")] == 2
    assert samples[metric("queue_oldest_age_seconds")] == pytest.approx(600, abs=30)
    assert samples[metric("taken_messages")] == 2
    assert samples[metric("taken_oldest_age_seconds")] == pytest.approx(90, abs=30)


def test_foreign_message_has_no_age(start_api: StartApi, redis_client: redis.Redis) -> None:
    redis_client.lpush(QUEUE, "nonsense")

    samples = scrape(start_api())

    assert samples[metric("queue_messages")] == 1
    assert metric("queue_oldest_age_seconds") not in samples


def test_metrics_before_the_first_scheduler(start_api: StartApi) -> None:
    samples = scrape(start_api())

    assert samples[metric("fires_total")] == 0
    assert samples[metric("late_oldest_age_seconds")] == 0
    for name in ("leader_looked_timestamp_seconds", "last_fire_due_timestamp_seconds", "last_fire_lag_seconds"):
        assert metric(name) not in samples


def test_label_of_a_name_may_have_any_characters(
    db: Connection, start_api: StartApi, redis_client: redis.Redis
) -> None:
    schedule(db)
    execute(db, "UPDATE metrics_executions SET name = %s", SPECIAL_CHARACTERS)
    ResultStore(redis_client).save([Result(MODEL, NOON, NOON, "ok", 0.75, 8, 7, NOON)])
    client = start_api()

    samples = scrape(client)
    response = client.get("/metrics", headers=OPENMETRICS)

    labelled = metric("model_accuracy", model_id=MODEL, name=SPECIAL_CHARACTERS)
    assert samples[labelled] == 0.75
    families = openmetrics_parser.text_string_to_metric_families(response.text)  # type: ignore[no-untyped-call]
    parsed = [sample for family in families for sample in family.samples]
    assert [s.value for s in parsed if key(s.name, **s.labels) == labelled] == [0.75]


def test_models_beyond_the_limit_are_counted(db: Connection, start_api: StartApi, redis_client: redis.Redis) -> None:
    models = model_ids(5)
    for model_id in reversed(models):
        schedule(db, model_id)
    ResultStore(redis_client).save(Result(model_id, NOON, NOON, "ok", 0.5, 8, 7, NOON) for model_id in models)

    collected = {}
    for model_metrics in ("0", "3", "5", "100"):
        samples = scrape(start_api(MODEL_METRICS=model_metrics))
        labels = [dict(labels) for name, labels in samples if name == "cyclic_metrics_model_accuracy"]
        collected[model_metrics] = ([label["model_id"] for label in labels], samples[metric("models_left_out")])

    assert collected == {"0": ([], 5), "3": (models[:3], 2), "5": (models, 0), "100": (models, 0)}


def test_schedules_are_counted_once_per_interval(db: Connection, start_api: StartApi) -> None:
    client = start_api()
    schedule_many(db, 3)
    first = scrape(client)[metric("schedules", enabled="true")]
    schedule_many(db, 4)
    soon = scrape(client)[metric("schedules", enabled="true")]
    registry = CollectorRegistry()
    registry.register(SystemCollector(100, count_interval=0.0))
    client.application.extensions[EXTENSION] = registry

    later = [scrape(client)[metric("schedules", enabled="true")]]
    schedule_many(db, 1)
    later.append(scrape(client)[metric("schedules", enabled="true")])

    assert (first, soon, later) == (3, 3, [7, 8])


@pytest.mark.parametrize("unavailable", [{"DATABASE_URL"}, {"REDIS_URL"}, {"DATABASE_URL", "REDIS_URL"}])
def test_unavailable_server_costs_only_its_own_metrics(
    busy_system: None, start_api: StartApi, unavailable: set[str]
) -> None:
    samples = scrape(start_api(**{name: UNREACHABLE[name] for name in unavailable}))

    assert samples[metric("up", server="postgresql")] == ("DATABASE_URL" not in unavailable)
    assert samples[metric("up", server="redis")] == ("REDIS_URL" not in unavailable)
    assert (
        (metric("fires_total") in samples)
        == (metric("schedules", enabled="true") in samples)
        == ("DATABASE_URL" not in unavailable)
    )
    assert (
        (metric("queue_messages") in samples)
        == (metric("failing_models") in samples)
        == ("REDIS_URL" not in unavailable)
    )
    assert (metric("model_samples", model_id=MODEL, name="churn") in samples) == (not unavailable)


def test_database_of_an_earlier_version_counts_as_unavailable(db: Connection, start_api: StartApi) -> None:
    execute(db, "ALTER TABLE retired_fires RENAME TO unknown")
    client = start_api()

    samples = [scrape(client)[metric("up", server="postgresql")]]
    execute(db, "ALTER TABLE unknown RENAME TO retired_fires")
    samples.append(scrape(client)[metric("up", server="postgresql")])

    assert samples == [0, 1]


def test_request_durations_are_labelled_by_route_template(start_api: StartApi) -> None:
    client = start_api()
    for path in (f"/results/{MODEL}", f"/results/{OTHER}", "/nowhere/1", "/nowhere/2"):
        client.get(path)
    client.open("/nowhere", method="BREW")
    client.open("/healthz", method="BREW")

    samples = scrape(client)

    counts = {
        tuple(dict(labels)[name] for name in ("method", "route", "status")): value
        for (sample, labels), value in samples.items()
        if sample == "cyclic_metrics_http_request_duration_seconds_count"
    }
    assert counts == {
        ("GET", "/results/<model_id>", "404"): 2,
        ("GET", "other", "404"): 2,
        ("other", "other", "404"): 1,
        ("other", "other", "405"): 1,
    }
    bucket = {"method": "GET", "route": "other", "status": "404", "le": "10.0"}
    assert samples[metric("http_request_duration_seconds_bucket", **bucket)] == 2


def test_applications_have_separate_registries(start_api: StartApi) -> None:
    start_api().get("/healthz")

    assert not [name for name, _ in scrape(start_api()) if name.endswith("_seconds_count")]


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
def test_format_follows_the_accept_header(start_api: StartApi, accepted: str, media_type: str) -> None:
    response = start_api().get("/metrics", headers={"Accept": accepted})

    assert response.status_code == 200
    assert response.mimetype == media_type
    assert response.text.endswith("# EOF\n") == (media_type != "text/plain")


@pytest.mark.parametrize(
    "member",
    ["", "\xff", "x", "7", "{}", "[]", "[1,2,7]", "[1e99,2,0,0.5,8]", '[1,2,0,"x",8]', "[1,2,0,0.5,[]]", "[" * 9999],
)
def test_unreadable_result_costs_only_the_metrics_of_its_model(
    busy_system: None, start_api: StartApi, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture, member: str
) -> None:
    redis_client.zadd(f"metrics:results:{OTHER}", {member.encode("latin-1"): 2e9})
    client = start_api()

    samples = scrape(client)
    responses = [client.get(path) for path in (f"/results?model_id={OTHER}&model_id={MODEL}", f"/schedule/{OTHER}")]

    assert samples[metric("up", server="redis")] == 1
    assert samples[metric("model_accuracy", model_id=MODEL, name="churn")] == 0.75
    assert metric("model_samples", model_id=OTHER, name="churn") not in samples
    assert f"result of model {OTHER} is unreadable: b" in caplog.text
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].json["missing"] == [OTHER]  # type: ignore[index]


def test_foreign_values_in_redis_cost_only_their_own_metrics(
    busy_system: None, start_api: StartApi, redis_client: redis.Redis
) -> None:
    client = start_api()
    redis_client.hset(COUNTS_KEY, "ok", "many")
    redis_client.delete(UNACKED_INDEX_KEY)
    redis_client.zadd(UNACKED_INDEX_KEY, {"x": 1e99})
    samples = scrape(client)

    assert (samples[metric("up", server="postgresql")], samples[metric("up", server="redis")]) == (1, 1)
    assert samples[metric("results_total", status="ok")] == 0
    assert samples[metric("taken_messages")] == 1
    assert metric("taken_oldest_age_seconds") not in samples


def test_alert_rules_and_dashboard_use_existing_metrics(busy_system: None, start_api: StartApi) -> None:
    client = start_api()
    client.get("/healthz")
    names = {name for name, _ in scrape(client)}
    dashboard = json.loads(Path("docs/grafana-dashboard.json").read_text())

    for text in (Path("docs/prometheus-alerts.yml").read_text(), json.dumps(dashboard)):
        used = set(re.findall(r"cyclic_metrics_\w+", text))
        assert len(used) > 10
        assert used <= names


def test_documented_metrics_are_complete(busy_system: None, start_api: StartApi) -> None:
    client = start_api()
    client.get("/healthz")
    names = {re.sub("_(bucket|sum|count)$", "", name) for name, _ in scrape(client)}

    section = Path("docs/operations.md").read_text().split("## Prometheus and Grafana")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = {name for cell in cells for name in re.findall(r"`([a-z_]+)", cell)}

    assert {f"cyclic_metrics_{name}" for name in listed} == {name for name in names if name.startswith("cyclic_")}


def test_metrics_need_a_token(start_api: StartApi) -> None:
    client = start_api(API_TOKENS="prometheus:read:" + "0" * 64)

    assert client.get("/metrics").status_code == 401
