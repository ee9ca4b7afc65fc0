"""The overview page as the API renders it; tests/browser opens it in a browser."""

import re
from datetime import timedelta
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from api.main import create_app
from api.pages import overview
from api.settings import Settings
from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.databases import (
    MODEL,
    Connection,
    Databases,
    execute,
    schedule,
    schedule_many,
    set_clock,
)
from tests.support.pages import (
    FRESH_HTML,
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

pytestmark = pytest.mark.usefixtures("_before_noon")


def test_row_shows_accuracy_and_its_change(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    record_fire(db)
    save_results(redis_client, 0.9, 0.95, "bad labels", 0.9533)

    assert get_row(client).startswith(f"{MODEL} * * * * * UTC Every minute 2026-11-24 12:00:00 UTC 95.3 % +0.3 fine")


@pytest.mark.parametrize(
    ("outcomes", "badge"),
    [
        ((0.5, "y_true holds null at position 0"), "error y_true holds null at position 0"),
        ((None,), "no data the model has no row in results"),
        ((), "no result yet the run of 2026-11-24T11:59:00Z has no result yet: no message of it is left"),
        ((0.25,), "fine"),
    ],
)
def test_badge_shows_status_and_reason_of_latest_result(
    client: FlaskClient, db: Connection, redis_client: redis.Redis, outcomes: tuple[float | str | None], badge: str
) -> None:
    schedule(db)
    record_fire(db)
    save_results(redis_client, *outcomes)

    assert badge in get_row(client)


def test_schedule_status_takes_precedence_over_result_status(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    save_results(redis_client, 0.5)
    assert "new the scheduler has not read it yet" in get_row(client)

    record_fire(db, next_due="11:58")
    assert "late its due time 2026-11-24T11:58:00Z has passed" in get_row(client)
    assert "1 problem" in visible_text(get_page(client))

    execute(db, "UPDATE crons SET next_due_at = NULL, error = 'the zone is unknown'")
    assert "cannot run the zone is unknown" in get_row(client)

    execute(db, "UPDATE metrics_executions SET enabled = false")
    assert "paused it is paused" in get_row(client)


def test_next_page_has_the_same_filters(client: FlaskClient, db: Connection) -> None:
    schedule_many(db, overview.PAGE_SIZE + 5, "@daily")
    schedule(db, MODEL, "@hourly")

    first = get_page(client, "/?cron=@daily&zone=&search=")
    second = get_page(client, next_url(first))

    pages = [re.findall(r'<tr id="model-(.*?)"', html) for html in (first, second)]
    assert [len(ids) for ids in pages] == [overview.PAGE_SIZE, 5]
    assert len(set(pages[0] + pages[1])) == overview.PAGE_SIZE + 5
    assert 'value="@daily"' in second
    assert MODEL not in first + second


def test_overview_shows_schedules_while_redis_is_unavailable(
    databases: Databases, database_url: str, db: Connection
) -> None:
    url = databases.url_as("metrics_api", database_url)
    client = create_app(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"})).test_client()
    schedule(db)
    record_fire(db)

    html = get_page(client)

    assert "Redis does not answer" in visible_text(html)
    assert "unknown Redis, which has the results, does not answer" in get_row(client)
    assert client.get(MODEL_PAGE, headers=HTML).status_code == 503


def test_overview_counts_connected_workers(client: FlaskClient, redis_client: redis.Redis) -> None:
    pubsub: Any = redis_client.pubsub
    with pubsub() as worker, pubsub() as listener:
        assert "no workers" in visible_text(get_page(client))

        worker.psubscribe("/0.celery.pidbox")
        listener.subscribe("something else")
        assert worker.get_message(timeout=5)

        assert "1 worker" in visible_text(get_page(client))


def test_row_and_model_page_show_run_request_until_its_result(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    record_fire(db)
    save_results(redis_client, 0.5)
    paths = ("/", MODEL_PAGE)
    pages = [client.get(path, headers=FRESH_HTML) for path in paths]
    etag = client.get(f"/schedule/{MODEL}").headers["ETag"]

    assert client.post(f"/schedule/{MODEL}/run").status_code == 202

    assert "fine run requested 11:59:30 UTC" in get_row(client)
    assert get_last_run(client) == "2026-11-24 11:59:00 UTC run requested 11:59:30 UTC"
    for path, page in zip(paths, pages, strict=True):
        changed = client.get(path, headers={**FRESH_HTML, "If-None-Match": page.headers["ETag"]})
        assert changed.status_code == 200
    renamed = client.patch(f"/schedule/{MODEL}", json={"name": "Spam filter"}, headers={"If-Match": etag})
    assert renamed.status_code == 200

    execute(db, "INSERT INTO run_requests SELECT model_id, run_requested_at FROM metrics_executions;"
            " UPDATE metrics_executions SET run_requested_at = NULL")  # fmt: skip
    assert "fine run requested 11:59:30 UTC" in get_row(client)  # published, and no worker has started it
    requested_at = NOON - timedelta(seconds=30)
    ResultStore(redis_client).save([Result(MODEL, requested_at, requested_at, "ok", 0.75, 100)])
    assert "run requested" not in get_row(client) + get_last_run(client)


def test_run_request_of_another_day_has_a_date(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    client.post(f"/schedule/{MODEL}/run")
    set_clock(db, "2026-11-25 00:00:05+00")

    assert "run requested 2026-11-24 11:59:30 UTC" in get_row(client)
