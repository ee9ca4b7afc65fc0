"""Responses of all pages: escaping, caching, errors, static files, size."""

import re
from pathlib import Path

import psycopg2
import pytest
import redis
from flask.testing import FlaskClient

from api.main import create_app
from api.pages import overview
from api.pages.page_cache import CacheLimits, PageCache
from api.pages.response import PAGE_CACHE
from api.settings import Settings
from tests.support.databases import DEFAULT_TIMEOUT, MODEL, OTHER, Connection, execute, model_ids, schedule
from tests.support.pages import FRESH_HTML, HTML, MODEL_PAGE, get_page, save_results, visible_text

STATIC = Path("api/pages/static")
MAX_PAGE_BYTES = 200_000

pytestmark = pytest.mark.usefixtures("_before_noon")


def test_text_of_users_is_escaped(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    execute(db, "UPDATE metrics_executions SET name = %s", "<img src=x onerror=alert(1)> \" ' & {{ 7 * 7 }}")
    save_results(redis_client, "<script>alert(1)</script>")

    for path in ("/", MODEL_PAGE, "/?search=<script>alert(2)</script>\"'"):
        html = get_page(client, path)
        assert "<img src=x" not in html
        assert "<script>alert" not in html
        assert "49" not in visible_text(html).replace("2026", "")


def test_unchanged_page_is_not_sent_again(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    client.application.extensions[overview.STATISTICS_CACHE].get(DEFAULT_TIMEOUT)  # so that the first page has them
    first = client.get("/", headers=FRESH_HTML)

    again = client.get("/", headers={**FRESH_HTML, "If-None-Match": first.headers["ETag"]})
    execute(db, "UPDATE metrics_executions SET name = 'another'")
    changed = client.get("/", headers={**FRESH_HTML, "If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["X-Schedule-Now"].startswith("2026-11-24T11:59:30.")
    assert changed.status_code == 200


def test_page_is_cached_unless_client_forbids_it(client: FlaskClient, db: Connection) -> None:
    client.application.extensions[PAGE_CACHE] = PageCache(CacheLimits(min_ttl=60.0, max_ttl=60.0))
    assert "no schedule yet" in client.get("/", headers=HTML).text
    schedule(db)

    assert "no schedule yet" in client.get("/", headers=HTML).text
    assert MODEL in client.get("/", headers=FRESH_HTML).text
    assert MODEL in client.get("/", headers=HTML).text


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/?status=ill", "status is &#34;ill&#34;; write failing, late"),
        ("/?search=%00", "search is &#34;\\u0000&#34;; write it without NUL"),
        ("/?after=x", "after &#34;x&#34; is not from a page with these filters"),
        ("/models/x", "model_id is &#34;x&#34;; write a UUID"),
        (f"{MODEL_PAGE}?before=x", "before is &#34;x&#34;; write an instant"),
    ],
)
def test_invalid_url_shows_error_detail(client: FlaskClient, path: str, detail: str) -> None:
    response = client.get(path, headers=HTML)

    assert response.status_code == 422
    assert detail in response.text


def test_not_found_is_html_for_browsers_only(client: FlaskClient) -> None:
    for path in (MODEL_PAGE, "/nothing"):
        for_browser, for_program = client.get(path, headers=HTML), client.get(path, headers={"Accept": "*/*"})
        assert (for_browser.status_code, for_browser.mimetype) == (404, "text/html")
        assert (for_program.status_code, for_program.mimetype) == (404, "application/problem+json")


def test_error_page_retries_while_postgresql_is_unavailable(redis_url: str) -> None:
    settings = Settings.from_env({"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": redis_url})

    response = create_app(settings).test_client().get("/", headers=HTML)

    assert (response.status_code, response.mimetype) == (503, "text/html")
    assert "PostgreSQL does not answer" in response.text
    assert "problem.js" in response.text


def test_lock_on_table_times_out(client: FlaskClient, db: Connection, database_url: str) -> None:
    """It makes the page fail, and blocks no thread of the API for long."""
    with psycopg2.connect(database_url) as other, other.cursor() as cur:
        cur.execute("LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")

        response = client.get("/", headers=HTML)

        assert response.status_code == 503
    other.close()


def test_full_page_and_static_files_are_small(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    """Uncompressed: that is how static files are sent."""
    ids = model_ids(overview.PAGE_SIZE)
    for model_id in ids:
        schedule(db, model_id, "*/5 9-17 * * mon-fri")
        save_results(redis_client, *(0.5 + number / 100 for number in range(20)), model_id=model_id)
    execute(db, "UPDATE metrics_executions SET name = 'A model with a name of its own, ' || id")

    html = get_page(client)

    assert html.count("<tr id=") == overview.PAGE_SIZE
    assert len(html.encode()) + sum(file.stat().st_size for file in STATIC.iterdir()) < MAX_PAGE_BYTES
    assert OTHER not in html


def test_all_referenced_files_exist_on_this_server(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    html = get_page(client) + get_page(client, MODEL_PAGE)
    urls = set(re.findall(r'(?:src|href)="(.*?)"', html))
    scripts = "".join(file.read_text() for file in STATIC.glob("*.js"))
    urls |= {f"/static/{name}" for name in re.findall(r'from "\./(.*?)"', scripts)}

    for url in urls:
        assert url.startswith(("/", "#"))
        if url.startswith("/static"):
            with client.get(url) as response:
                assert response.status_code == 200
    assert not re.search(r"https?://(?!www\.w3\.org/)", scripts + (STATIC / "style.css").read_text())
