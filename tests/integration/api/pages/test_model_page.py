"""The page of a model and its chart data as the API renders them."""

import uuid
from datetime import timedelta

import pytest
import redis
from flask.testing import FlaskClient

from api.pages.page_cache import CacheLimits, PageCache
from api.pages.response import PAGE_CACHE
from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.keys import confusion_key, results_key
from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.databases import MODEL, OTHER, Connection, bypass_triggers, execute, schedule
from tests.support.pages import (
    HTML,
    MODEL_PAGE,
    NOON,
    get_last_run,
    get_page,
    get_row,
    next_url,
    record_fire,
    save_results,
    visible_text,
)

CHART = f"{MODEL_PAGE}/chart"

pytestmark = pytest.mark.usefixtures("_before_noon")


def test_label_that_is_not_encodable_is_replaced(client: FlaskClient, redis_client: redis.Redis) -> None:
    """Half of a surrogate pair, which PostgreSQL accepts in JSON."""
    confusion = ConfusionMatrix(["\ud800", "b"], [[1, 0], [0, 1]])
    ResultStore(redis_client).save([Result(MODEL, NOON, NOON, "ok", 1.0, 2, confusion=confusion)])

    assert '<th scope="row">?</th>' in get_page(client, MODEL_PAGE)


def test_model_without_schedule_keeps_its_page(client: FlaskClient, redis_client: redis.Redis) -> None:
    save_results(redis_client, 0.5, 0.75)

    text = visible_text(get_page(client, f"/models/{MODEL.upper()}"))

    assert "It has no schedule; its results stay." in text
    assert "75.0 %" in text


def test_model_page_uses_results_of_its_model_only(client: FlaskClient, redis_client: redis.Redis) -> None:
    save_results(redis_client, 0.5)

    assert client.get(f"/models/{uuid.uuid4()}", headers=HTML).status_code == 404


def test_chart_counts_due_times_missed_since_active_since(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db, MODEL, "*/5 * * * *")
    record_fire(db, "*/5 * * * *")
    with bypass_triggers(db):
        execute(db, "UPDATE metrics_executions SET active_since = '2026-11-24 10:30Z'")
    minutes = [-120, -90, -60, -55, -40, -38, -35]  # from noon on
    ResultStore(redis_client).save(
        Result(MODEL, NOON + timedelta(minutes=minute), NOON, "ok", 0.5, 10) for minute in minutes
    )

    points = client.get(CHART).json

    assert points is not None
    due_times = [NOON + timedelta(minutes=minute) for minute in minutes]
    assert [point[0] for point in points] == [1000 * int(due_at.timestamp()) for due_at in due_times]
    assert [point[4] for point in points] == [0, 0, 5, 0, 2, 0, 0]
    assert points[0][1:4] == [0.5, 10, 0]


def test_chart_is_rendered_once_for_all_clients(client: FlaskClient, redis_client: redis.Redis) -> None:
    """All open pages of a model request it at the same time, and a thousand runs take a tenth of a second."""
    client.application.extensions[PAGE_CACHE] = PageCache(CacheLimits(min_ttl=60.0, max_ttl=60.0))
    save_results(redis_client, 0.25, 0.5)
    first = client.get(CHART)
    redis_client.zremrangebyrank(results_key(MODEL), 0, 0)  # another rendering would not have this point
    again = client.get(CHART, headers={"If-None-Match": first.headers["ETag"]})
    assert client.get(CHART).json == first.json

    ResultStore(redis_client).save([Result(MODEL, NOON, NOON, "ok", 0.75, 10)])

    assert (first.mimetype, again.status_code) == ("application/json", 304)
    assert [point[1] for point in first.json or []] == [0.25, 0.5]
    assert [point[1] for point in client.get(CHART).json or []] == [0.5, 0.75]


def test_unreadable_redis_members_are_left_out(client: FlaskClient, redis_client: redis.Redis) -> None:
    save_results(redis_client, *(number / 100 for number in range(52)))
    save_results(redis_client, 0.5, model_id=OTHER)
    redis_client.zadd(results_key(MODEL), {"junk": NOON.timestamp() - 90})
    redis_client.set(confusion_key(MODEL), "junk")
    redis_client.set(confusion_key(OTHER), '[0,["a","b"],[[1]]]')

    first = get_page(client, MODEL_PAGE)
    second = get_page(client, next_url(first))

    assert [html.count('<tr id="run-') for html in (first, second)] == [49, 3]
    assert len(client.get(CHART).json or []) == 52
    assert "Confusion matrix" not in first + get_page(client, f"/models/{OTHER}")


def test_last_run_is_newest_result_of_any_kind(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    assert get_last_run(client) == "\N{EN DASH}"

    record_fire(db)
    save_results(redis_client, 0.5)
    assert get_last_run(client) == "2026-11-24 11:59:00 UTC"

    execute(db, "UPDATE metrics_executions SET cron_expression = '@daily'")
    assert get_last_run(client) == "2026-11-24 11:59:00 UTC"

    requested_at = NOON - timedelta(seconds=33)
    ResultStore(redis_client).save([Result(MODEL, requested_at, requested_at, "error", error="bad labels")])
    assert get_last_run(client) == "2026-11-24 11:59:27 UTC"

    execute(db, "DELETE FROM metrics_executions")
    assert get_last_run(client) == "2026-11-24 11:59:27 UTC"


def test_age_of_labels_is_shown_apart_from_time_of_run(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    record_fire(db)
    labels_at = NOON - timedelta(days=12)
    confusion = ConfusionMatrix(["ham", "spam"], [[3, 1], [0, 4]])
    result = Result(MODEL, NOON - timedelta(minutes=1), NOON, "ok", 0.875, 8, 1, labels_at, confusion=confusion)
    ResultStore(redis_client).save([result])

    text = visible_text(get_page(client, MODEL_PAGE))

    assert "87.5 % of 8 labels labels from 2026-11-12 12:00:00 UTC" in text
    assert "Confusion matrix Last run" in text
    assert (
        "Last run 2026-11-24 11:59:00 UTC , on labels from 2026-11-12 12:00:00 UTC ."
        " Rows are the true labels, columns the predicted ones." in text
    )
    assert "87.5 % labels from 2026-11-12 12:00:00 UTC fine" in get_row(client)


def test_age_of_labels_is_left_out_if_unknown(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    record_fire(db)
    confusion = ConfusionMatrix(["ham", "spam"], [[3, 1], [0, 4]])
    due_at = NOON - timedelta(minutes=1)
    ResultStore(redis_client).save([Result(MODEL, due_at, NOON, "ok", 0.875, 8, confusion=confusion)])

    text = visible_text(get_page(client, MODEL_PAGE))

    assert "labels from" not in text + get_row(client)
    assert "Last run 2026-11-24 11:59:00 UTC . Rows are the true labels" in text
