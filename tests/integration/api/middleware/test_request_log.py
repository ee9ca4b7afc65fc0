"""The request log: its lines, and the secrets that they must not contain."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.main import LOG_FORMAT, create_app
from api.middleware import request_log
from api.settings import Settings
from api.tokens import make
from devstack.ports import HOST, free_port
from tests.support.databases import MODEL, wait_for
from tests.support.processes import running_service

TOKEN, ENTRY = make("grafana", may_write=False)
SECRET = "correct-horse"
UNREACHABLE = {
    "DATABASE_URL": f"postgresql://metrics_api:{SECRET}@127.0.0.1:9/none",
    "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:9/0",
}


class ListHandler(logging.Handler):
    """Collects the lines that the process would log."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(request_log.RequestIdFilter())
        self.setFormatter(logging.Formatter(LOG_FORMAT))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName != "statistics":  # of the application of an earlier test
            self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler, root = ListHandler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


def app_without_backends(**env: str) -> Flask:
    return create_app(Settings.from_env(UNREACHABLE | env))


def test_request_is_logged_as_one_line_with_its_id(client: FlaskClient, lines: list[str]) -> None:
    response = client.get(f"/results/{MODEL}?secret=1")

    [line] = lines
    assert re.fullmatch(
        rf"INFO GET /results/{MODEL} status=422 ms=\d+\.\d bytes={response.content_length} client=- from=127\.0\.0\.1"
        rf" request={response.headers['X-Request-Id']}",
        line,
    )


def test_request_id_of_the_client_is_used(client: FlaskClient, lines: list[str]) -> None:
    response = client.get("/schedule", headers={"X-Request-Id": "trace-1.2_3"})

    assert response.headers["X-Request-Id"] == "trace-1.2_3"
    assert lines[0].endswith("request=trace-1.2_3")


@pytest.mark.parametrize("request_id", ["", "two words", 'a"b', "x" * 65, "żółw", "a=b"])
def test_request_id_that_could_forge_a_line_is_replaced(client: FlaskClient, lines: list[str], request_id: str) -> None:
    response = client.get("/nothing", headers={"X-Request-Id": request_id})

    assert re.fullmatch("[0-9a-f]{16}", response.headers["X-Request-Id"])
    assert lines[0].endswith(f"request={response.headers['X-Request-Id']}")


def test_other_lines_of_a_request_have_its_id(lines: list[str]) -> None:
    response = app_without_backends().test_client().get("/schedule")

    warning, request = lines
    assert warning.startswith("WARNING PostgreSQL: ")
    assert warning.endswith(f"request={response.headers['X-Request-Id']}")
    assert "status=503" in request


def test_line_outside_of_requests_has_no_request_id(lines: list[str]) -> None:
    logging.getLogger("anywhere").info("hello")

    assert lines == ["INFO hello"]


@pytest.mark.parametrize("path", ["/%0aINFO%20forged", "/%1b[31m", '/"quoted"', "/a%20status=200", "/%e2%80%a8x"])
def test_path_cannot_forge_a_line(client: FlaskClient, lines: list[str], path: str) -> None:
    client.get(path)

    [line] = lines
    assert line.splitlines() == [line]
    assert line.isprintable()
    assert line.startswith('INFO GET "/')


def test_successful_health_checks_are_not_logged(client: FlaskClient, lines: list[str]) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert lines == []

    app_without_backends().test_client().get("/readyz")

    assert "/readyz status=503" in lines[-1]


def test_polls_of_open_pages_are_not_logged(client: FlaskClient, lines: list[str]) -> None:
    for headers in ({}, {"If-None-Match": "*"}):
        assert client.get("/", headers={"X-Requested-With": "live", **headers}).status_code in {200, 304}
    assert lines == []

    client.get("/")
    client.get("/models/x", headers={"X-Requested-With": "live"})

    assert [line.split(" status=")[0] for line in lines] == ["INFO GET /", "INFO GET /models/x"]


def test_name_of_a_token_is_logged_and_never_the_token(lines: list[str]) -> None:
    client = app_without_backends(API_TOKENS=ENTRY).test_client()

    client.get("/docs", headers={"Authorization": f"Bearer {TOKEN}"})
    client.get("/docs", headers={"Authorization": f"Bearer {SECRET}"})
    client.get(f"/docs?token={SECRET}", headers={"Authorization": f"Basic {SECRET}", "Cookie": SECRET})
    client.get("/schedule", headers={"Authorization": f"Bearer {TOKEN}"})

    token_in_path = client.get(f"/docs/{TOKEN}", headers={"X-Request-Id": TOKEN})

    assert ["client=grafana" in line for line in lines if "GET" in line] == [True, False, False, True, False]
    assert "GET /docs/cm_... status=401" in lines[-1]
    assert token_in_path.headers["X-Request-Id"] != TOKEN
    assert not any(word in line for line in lines for word in (SECRET, TOKEN, ENTRY[-64:]))


def test_passwords_of_backends_are_in_no_line_and_no_response(lines: list[str]) -> None:
    client = app_without_backends().test_client()

    responses = [client.get(path) for path in ("/schedule", "/readyz", f"/results/{MODEL}", "/status")]

    assert {response.status_code for response in responses} == {503}
    assert len(lines) >= len(responses)
    assert not any(SECRET in text for text in (*lines, *(response.text for response in responses)))


def test_api_exits_without_tokens_on_a_public_address(tmp_path: Path) -> None:
    env = UNREACHABLE | {"HOST": "0.0.0.0", "PORT": str(free_port()), "ALLOW_ANONYMOUS": "false"}  # noqa: S104
    with running_service(["api.main"], env, tmp_path / "api.log") as api:
        assert api.popen.wait(20) == 1

        assert 'HOST is "0.0.0.0", where others could change schedules; set API_TOKENS' in api.output


def test_api_warns_of_anonymous_access_on_a_public_address(tmp_path: Path) -> None:
    env = UNREACHABLE | {"HOST": "0.0.0.0", "PORT": str(free_port()), "ALLOW_ANONYMOUS": "true"}  # noqa: S104
    with running_service(["api.main"], env, tmp_path / "api.log") as api:
        wait_for(lambda: "Serving on" in api.output)

        assert (
            f"WARNING API_TOKENS is empty: anyone who can reach 0.0.0.0:{env['PORT']} can change schedules"
            in api.output
        )
        assert SECRET not in api.output


def test_api_with_tokens_logs_no_warning(tmp_path: Path) -> None:
    env = UNREACHABLE | {"HOST": HOST, "PORT": str(free_port()), "API_TOKENS": ENTRY}
    with running_service(["api.main"], env, tmp_path / "api.log") as api:
        wait_for(lambda: "Serving on" in api.output)

        assert "WARNING" not in api.output
