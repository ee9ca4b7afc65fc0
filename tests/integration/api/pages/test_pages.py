"""The pages as the server renders them; tests/browser has them in a browser."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from flask.testing import FlaskClient

from api.main import create_app
from api.pages import overview, page_cache, snapshot
from api.settings import Settings
from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.keys import confusion_key, results_key
from core.results.models import Result, Status
from core.results.repository import ResultStore
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    model_ids,
    past_the_triggers,
    run,
    schedule,
    schedule_many,
    set_clock,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HTML = {"Accept": "text/html"}
NOW = {**HTML, "Cache-Control": "no-cache"}
STATIC = Path("api/pages/static")


def text_of(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def page(client: FlaskClient, path: str = "/") -> str:
    answer = client.get(path, headers=NOW)
    assert answer.status_code == 200, answer.text
    return answer.text


def row(client: FlaskClient, model_id: str = MODEL) -> str:
    found = re.search(f'<tr id="model-{model_id}".*?</tr>', page(client), re.DOTALL)
    return text_of(found[0]) if found else ""


def save(redis_client: redis.Redis, *figures: float | str | None, model_id: str = MODEL) -> None:
    """Store results of the minutes up to 11:59: a figure, None for no data, a text for an error."""
    results = []
    for ago, figure in enumerate(reversed(figures), 1):
        due_at = NOON - timedelta(minutes=ago)
        if isinstance(figure, float):
            results.append(Result(model_id, due_at, due_at, "ok", figure, 100))
        else:
            status: Status = "error" if figure else "no_data"
            results.append(Result(model_id, due_at, due_at, status, error=figure or "the model has no row in results"))
    ResultStore(redis_client).save(results)


def sent(db: Connection, cron: str = "* * * * *", last: str = "11:59", following: str = "12:00") -> None:
    """Let the scheduler have sent a pair, which is as old as the day."""
    with past_the_triggers(db):
        run(db, "UPDATE metrics_executions SET active_since = '2026-11-24 00:00Z'")
    run(
        db,
        "INSERT INTO crons (cron_expression, timezone, last_due_at, next_due_at, tzdata_version)"
        " VALUES (%s, 'UTC', %s, %s, 'x')",
        cron, f"2026-11-24 {last}Z", f"2026-11-24 {following}Z",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _noon(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FRESH", 0.0)
    set_clock(db, "2026-11-24 11:59:30+00")
    run(db, "UPDATE leader SET name = 'host:1', since = schedule_now(), looked_at = schedule_now()")


def test_a_row_says_how_good_a_model_is_and_what_changed(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    sent(db)
    save(redis_client, 0.9, 0.95, "bad labels", 0.9533)

    assert row(client).startswith(f"{MODEL} * * * * * UTC Every minute 2026-11-24 12:00:00 UTC 95.3 % +0.3 fine")


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ((0.5, "y_true holds null at position 0"), "error y_true holds null at position 0"),
        ((None,), "no data the model has no row in results"),
        ((), "no result yet the run of 2026-11-24T11:59:00Z has no result yet: no message of it is left"),
        ((0.25,), "fine"),
    ],
)
def test_the_state_has_a_reason(
    client: FlaskClient, db: Connection, redis_client: redis.Redis, figures: tuple[float | str | None], words: str
) -> None:
    schedule(db)
    sent(db)
    save(redis_client, *figures)

    assert words in row(client)


def test_states_of_the_schedule_come_first(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    save(redis_client, 0.5)
    assert "new the scheduler has not read it yet" in row(client)

    sent(db, following="11:58")
    assert "late its due time 2026-11-24T11:58:00Z has passed" in row(client)
    assert "1 problem" in text_of(page(client))

    run(db, "UPDATE crons SET error = 'the zone is unknown'")
    assert "cannot run the zone is unknown" in row(client)

    run(db, "UPDATE metrics_executions SET enabled = false")
    assert "paused it is paused" in row(client)


def test_what_people_wrote_stays_text(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    run(db, "UPDATE metrics_executions SET name = %s", "<img src=x onerror=alert(1)> \" ' & {{ 7 * 7 }}")
    save(redis_client, "<script>alert(1)</script>")

    for path in ("/", f"/models/{MODEL}", "/?search=<script>alert(2)</script>\"'"):
        html = page(client, path)
        assert "<img src=x" not in html
        assert "<script>alert" not in html
        assert "49" not in text_of(html).replace("2026", "")


def test_a_label_need_not_be_text_that_can_be_encoded(client: FlaskClient, redis_client: redis.Redis) -> None:
    """Half of a surrogate pair, which PostgreSQL takes in JSON."""
    confusion = ConfusionMatrix(["\ud800", "b"], [[1, 0], [0, 1]])
    ResultStore(redis_client).save([Result(MODEL, NOON, NOON, "ok", 1.0, 2, confusion=confusion)])

    assert '<th scope="row">?</th>' in page(client, f"/models/{MODEL}")


def test_the_same_page_is_not_sent_twice(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    first = client.get("/", headers=NOW)

    again = client.get("/", headers={**NOW, "If-None-Match": first.headers["ETag"]})
    run(db, "UPDATE metrics_executions SET name = 'another'")
    changed = client.get("/", headers={**NOW, "If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["X-Schedule-Now"].startswith("2026-11-24T11:59:30.")
    assert changed.status_code == 200


def test_a_page_of_a_moment_ago_will_do_unless_one_has_just_changed_something(
    client: FlaskClient, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "FRESH", 60.0)
    assert "no schedule yet" in client.get("/", headers=HTML).text
    schedule(db)

    assert "no schedule yet" in client.get("/", headers=HTML).text
    assert MODEL in client.get("/", headers=NOW).text
    assert MODEL in client.get("/", headers=HTML).text


def test_pages_follow_each_other_and_keep_their_filters(client: FlaskClient, db: Connection) -> None:
    schedule_many(db, overview.SHOWN + 5, "@daily")
    schedule(db, MODEL, "@hourly")

    first = page(client, "/?cron=@daily&zone=&search=")
    [following] = re.findall(r'rel="next" href="(.*?)"', first)
    second = page(client, following.replace("&amp;", "&"))

    shown = [re.findall(r'<tr id="model-(.*?)"', html) for html in (first, second)]
    assert [len(ids) for ids in shown] == [overview.SHOWN, 5]
    assert len(set(shown[0] + shown[1])) == overview.SHOWN + 5
    assert 'value="@daily"' in second
    assert MODEL not in first + second


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/?status=ill", "status is &#34;ill&#34;; write failing, late"),
        ("/?search=%00", "search is &#34;\\u0000&#34;; write it without NUL"),
        ("/?after=x", "after &#34;x&#34; is not from a page with these filters"),
        ("/models/x", "model_id is &#34;x&#34;; write a UUID"),
        (f"/models/{MODEL}?before=x", "before is &#34;x&#34;; write an instant"),
    ],
)
def test_a_wrong_address_is_explained(client: FlaskClient, path: str, words: str) -> None:
    answer = client.get(path, headers=HTML)

    assert answer.status_code == 422
    assert words in answer.text


def test_what_is_not_there_is_said_in_html_to_people_only(client: FlaskClient) -> None:
    for path in (f"/models/{MODEL}", "/nothing"):
        for_people, for_programs = client.get(path, headers=HTML), client.get(path, headers={"Accept": "*/*"})
        assert (for_people.status_code, for_people.mimetype) == (404, "text/html")
        assert (for_programs.status_code, for_programs.mimetype) == (404, "application/problem+json")


def test_without_redis_the_schedules_are_shown(databases: Databases, database_url: str, db: Connection) -> None:
    url = databases.url_as("metrics_api", database_url)
    client = create_app(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"})).test_client()
    schedule(db)
    sent(db)

    html = page(client)

    assert "Redis does not answer" in text_of(html)
    assert "unknown Redis, which has the results, does not answer" in row(client)
    assert client.get(f"/models/{MODEL}", headers=HTML).status_code == 503


def test_without_postgresql_the_page_tries_again(redis_url: str) -> None:
    settings = Settings.from_env({"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": redis_url})

    answer = create_app(settings).test_client().get("/", headers=HTML)

    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "PostgreSQL does not answer" in answer.text
    assert "problem.js" in answer.text


def test_a_model_without_a_schedule_keeps_its_page(client: FlaskClient, redis_client: redis.Redis) -> None:
    save(redis_client, 0.5, 0.75)

    text = text_of(page(client, f"/models/{MODEL.upper()}"))

    assert "It has no schedule; its results stay." in text
    assert "75.0 %" in text


def test_the_chart_says_what_was_missed_since_the_schedule_is_what_it_is(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db, MODEL, "*/5 * * * *")
    sent(db, "*/5 * * * *")
    with past_the_triggers(db):
        run(db, "UPDATE metrics_executions SET active_since = '2026-11-24 10:30Z'")
    minutes = [-120, -90, -60, -55, -40, -38, -35]  # from noon on
    ResultStore(redis_client).save(
        Result(MODEL, NOON + timedelta(minutes=minute), NOON, "ok", 0.5, 10) for minute in minutes
    )

    points = client.get(f"/models/{MODEL}/chart").json

    assert points is not None
    assert [point[0] for point in points] == [1000 * int((NOON + timedelta(minutes=m)).timestamp()) for m in minutes]
    assert [point[4] for point in points] == [0, 0, 5, 0, 2, 0, 0]
    assert points[0][1:4] == [0.5, 10, 0]


def test_a_chart_is_drawn_once_for_all_who_look(
    client: FlaskClient, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of a model ask for it at the same moment, and a thousand runs take a tenth of a second."""
    save(redis_client, 0.25, 0.5)
    address = f"/models/{MODEL}/chart"
    first = client.get(address)
    with monkeypatch.context() as patched:
        patched.setattr(ResultStore, "newest", None)
        again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
        assert client.get(address).json == first.json

    ResultStore(redis_client).save([Result(MODEL, NOON, NOON, "ok", 0.75, 10)])

    assert (first.mimetype, again.status_code) == ("application/json", 304)
    assert len(client.get(address).json or []) == 3


def test_the_workers_are_counted_where_redis_tells(client: FlaskClient, redis_client: redis.Redis) -> None:
    pubsub: Any = redis_client.pubsub
    with pubsub() as worker, pubsub() as listener:
        assert "no workers" in text_of(page(client))

        worker.psubscribe("/0.celery.pidbox")
        listener.subscribe("something else")
        assert worker.get_message(timeout=5)

        assert "1 worker" in text_of(page(client))


def test_all_of_a_page_is_light(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    """150 kB is the most that it may weigh, compressed; it is not, between the API and a browser."""
    ids = model_ids(overview.SHOWN)
    for model_id in ids:
        schedule(db, model_id, "*/5 9-17 * * mon-fri")
        save(redis_client, *(0.5 + place / 100 for place in range(20)), model_id=model_id)
    run(db, "UPDATE metrics_executions SET name = 'A model with a name of its own, ' || id")

    html = page(client)

    assert html.count("<tr id=") == overview.SHOWN
    assert len(html.encode()) + sum(file.stat().st_size for file in STATIC.iterdir()) < 200_000
    assert OTHER not in html


def test_every_file_that_the_pages_want_is_there(client: FlaskClient, db: Connection) -> None:
    """And nothing is fetched from elsewhere."""
    schedule(db)
    html = page(client) + page(client, f"/models/{MODEL}")
    wanted = set(re.findall(r'(?:src|href)="(.*?)"', html))
    scripts = "".join(file.read_text() for file in STATIC.glob("*.js"))
    wanted |= {f"/static/{name}" for name in re.findall(r'from "\./(.*?)"', scripts)}

    for address in wanted:
        assert address.startswith(("/", "#"))
        if address.startswith("/static"):
            with client.get(address) as answer:
                assert answer.status_code == 200
    assert not re.search(r"https?://(?!www\.w3\.org/)", scripts + (STATIC / "style.css").read_text())


def test_what_asks_postgresql_for_long_is_cut_off(client: FlaskClient, db: Connection, database_url: str) -> None:
    """A lock on the table costs the page, not the API."""
    with psycopg2.connect(database_url) as other, other.cursor() as statements:
        statements.execute("LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")

        answer = client.get("/", headers=HTML)

        assert answer.status_code == 503
    other.close()


def test_what_redis_holds_that_is_no_result_costs_no_page(client: FlaskClient, redis_client: redis.Redis) -> None:
    save(redis_client, *(place / 100 for place in range(52)))
    save(redis_client, 0.5, model_id=OTHER)
    redis_client.zadd(results_key(MODEL), {"junk": NOON.timestamp() - 90})
    redis_client.set(confusion_key(MODEL), "junk")
    redis_client.set(confusion_key(OTHER), '[0,["a","b"],[[1]]]')

    first = page(client, f"/models/{MODEL}")
    [following] = re.findall(r'rel="next" href="(.*?)"', first)
    second = page(client, following)

    assert [html.count('<tr id="run-') for html in (first, second)] == [49, 3]
    assert len(client.get(f"/models/{MODEL}/chart").json or []) == 52
    assert "What it confuses" not in first + page(client, f"/models/{OTHER}")


def test_it_looks_at_nothing_that_belongs_to_other_models(client: FlaskClient, redis_client: redis.Redis) -> None:
    save(redis_client, 0.5)

    assert client.get(f"/models/{uuid.uuid4()}", headers=HTML).status_code == 404


def last_run(client: FlaskClient) -> str:
    [shown] = re.findall(r"<dt>Last run</dt>\s*<dd>(.*?)</dd>", page(client, f"/models/{MODEL}"), re.DOTALL)
    return text_of(shown)


def test_last_run_is_newest_result_of_any_kind(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    assert last_run(client) == "\N{EN DASH}"

    sent(db)
    save(redis_client, 0.5)
    assert last_run(client) == "2026-11-24 11:59:00 UTC"

    run(db, "UPDATE metrics_executions SET cron_expression = '@daily'")
    assert last_run(client) == "2026-11-24 11:59:00 UTC"

    requested_at = NOON - timedelta(seconds=33)
    ResultStore(redis_client).save([Result(MODEL, requested_at, requested_at, "error", error="bad labels")])
    assert last_run(client) == "2026-11-24 11:59:27 UTC"

    run(db, "DELETE FROM metrics_executions")
    assert last_run(client) == "2026-11-24 11:59:27 UTC"


def test_age_of_labels_is_told_apart_from_time_of_run(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    sent(db)
    labels_at = NOON - timedelta(days=12)
    confusion = ConfusionMatrix(["ham", "spam"], [[3, 1], [0, 4]])
    result = Result(MODEL, NOON - timedelta(minutes=1), NOON, "ok", 0.875, 8, 1, labels_at, confusion=confusion)
    ResultStore(redis_client).save([result])

    model = text_of(page(client, f"/models/{MODEL}"))

    assert "87.5 % of 8 labels labels from 2026-11-12 12:00:00 UTC" in model
    assert (
        "Last run 2026-11-24 11:59:00 UTC , on labels from 2026-11-12 12:00:00 UTC ."
        " Rows are the true labels, columns the predicted ones." in model
    )
    assert "87.5 % labels from 2026-11-12 12:00:00 UTC fine" in row(client)


def test_age_of_labels_is_left_out_where_unknown(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    sent(db)
    confusion = ConfusionMatrix(["ham", "spam"], [[3, 1], [0, 4]])
    due_at = NOON - timedelta(minutes=1)
    ResultStore(redis_client).save([Result(MODEL, due_at, NOON, "ok", 0.875, 8, confusion=confusion)])

    model = text_of(page(client, f"/models/{MODEL}"))

    assert "labels from" not in model + row(client)
    assert "Last run 2026-11-24 11:59:00 UTC . Rows are the true labels" in model


def test_run_request_is_shown_until_its_result_is_there(
    client: FlaskClient, db: Connection, redis_client: redis.Redis
) -> None:
    schedule(db)
    sent(db)
    save(redis_client, 0.5)
    pages = [client.get(path, headers=NOW) for path in ("/", f"/models/{MODEL}")]
    etag = client.get(f"/schedule/{MODEL}").headers["ETag"]

    assert client.post(f"/schedule/{MODEL}/run").status_code == 202

    assert "fine run requested 11:59:30 UTC" in row(client)
    assert last_run(client) == "2026-11-24 11:59:00 UTC run requested 11:59:30 UTC"
    for path, seen in zip(("/", f"/models/{MODEL}"), pages, strict=True):
        changed = client.get(path, headers={**NOW, "If-None-Match": seen.headers["ETag"]})
        assert changed.status_code == 200
    renamed = client.patch(f"/schedule/{MODEL}", json={"name": "Spam filter"}, headers={"If-Match": etag})
    assert renamed.status_code == 200

    run(db, "INSERT INTO run_requests SELECT model_id, run_requested_at FROM metrics_executions;"
            " UPDATE metrics_executions SET run_requested_at = NULL")  # fmt: skip
    assert "fine run requested 11:59:30 UTC" in row(client)  # it is sent, and no worker has taken it
    requested_at = NOON - timedelta(seconds=30)
    ResultStore(redis_client).save([Result(MODEL, requested_at, requested_at, "ok", 0.75, 100)])
    assert "run requested" not in row(client) + last_run(client)


def test_run_request_of_another_day_has_a_date(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    client.post(f"/schedule/{MODEL}/run")
    set_clock(db, "2026-11-25 00:00:05+00")

    assert "run requested 2026-11-24 11:59:30 UTC" in row(client)
