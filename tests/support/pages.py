"""Requests for HTML pages, and the data that they show."""

import re
from datetime import UTC, datetime, timedelta

import redis
from flask.testing import FlaskClient

from core.results.models import Result, Status
from core.results.repository import ResultStore
from tests.support.databases import MODEL, Connection, bypass_triggers, execute

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HTML = {"Accept": "text/html"}
FRESH_HTML = {**HTML, "Cache-Control": "no-cache"}
MODEL_PAGE = f"/models/{MODEL}"


def visible_text(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def get_page(client: FlaskClient, path: str = "/") -> str:
    response = client.get(path, headers=FRESH_HTML)
    assert response.status_code == 200, response.text
    return response.text


def get_row(client: FlaskClient, model_id: str = MODEL) -> str:
    """Return the text of a model's row on the overview; empty if there is none."""
    row = re.search(f'<tr id="model-{model_id}".*?</tr>', get_page(client), re.DOTALL)
    return visible_text(row[0]) if row else ""


def get_last_run(client: FlaskClient) -> str:
    """Return what the model page shows as the last run."""
    [last_run] = re.findall(r"<dt>Last run</dt>\s*<dd>(.*?)</dd>", get_page(client, MODEL_PAGE), re.DOTALL)
    return visible_text(last_run)


def next_url(html: str) -> str:
    [url] = re.findall(r'rel="next" href="(.*?)"', html)
    return str(url).replace("&amp;", "&")


def save_results(redis_client: redis.Redis, *outcomes: float | str | None, model_id: str = MODEL) -> None:
    """Store results of the minutes up to 11:59: an accuracy, None for no data, a text for an error."""
    results = []
    for minutes, outcome in enumerate(reversed(outcomes), 1):
        due_at = NOON - timedelta(minutes=minutes)
        if isinstance(outcome, float):
            results.append(Result(model_id, due_at, due_at, "ok", outcome, 100))
        else:
            status: Status = "error" if outcome else "no_data"
            error = outcome or "the model has no row in results"
            results.append(Result(model_id, due_at, due_at, status, error=error))
    ResultStore(redis_client).save(results)


def record_fire(db: Connection, cron: str = "* * * * *", *, last_due: str = "11:59", next_due: str = "12:00") -> None:
    """Record that a cron spec was fired, with schedules that are active since the beginning of the day."""
    with bypass_triggers(db):
        execute(db, "UPDATE metrics_executions SET active_since = '2026-11-24 00:00Z'")
    execute(
        db,
        "INSERT INTO crons (cron_expression, timezone, last_due_at, next_due_at, tzdata_version)"
        " VALUES (%s, 'UTC', %s, %s, 'x')",
        cron, f"2026-11-24 {last_due}Z", f"2026-11-24 {next_due}Z",
    )  # fmt: skip
