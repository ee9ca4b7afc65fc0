"""What is logged of a request, and what never is."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.main import create_app
from api.middleware import request_log
from api.settings import Settings
from api.tokens import make
from devstack.ports import HOST, free_port
from tests.support.databases import MODEL, wait_for
from tests.support.processes import service

TOKEN, ENTRY = make("grafana", may_write=False)
SECRET = "correct-horse"
NOWHERE = {
    "DATABASE_URL": f"postgresql://metrics_api:{SECRET}@127.0.0.1:9/none",
    "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:9/0",
}


class Lines(logging.Handler):
    """Keeps what the process would write."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(request_log.OfRequest())
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s%(of_request)s"))
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName != "statistics":  # of an application of a test before this one
            self.written.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield handler.written
    root.removeHandler(handler)
    root.setLevel(level)


def away(**env: str) -> Flask:
    return create_app(Settings.from_env(NOWHERE | env))


def test_a_request_is_one_line_with_its_id(client: FlaskClient, lines: list[str]) -> None:
    answer = client.get(f"/results/{MODEL}?secret=1")

    [line] = lines
    assert re.fullmatch(
        rf"INFO GET /results/{MODEL} status=422 ms=\d+\.\d bytes={answer.content_length} client=- from=127\.0\.0\.1"
        rf" request={answer.headers['X-Request-Id']}",
        line,
    )


def test_the_caller_may_give_the_id(client: FlaskClient, lines: list[str]) -> None:
    answer = client.get("/schedule", headers={"X-Request-Id": "trace-1.2_3"})

    assert answer.headers["X-Request-Id"] == "trace-1.2_3"
    assert lines[0].endswith("request=trace-1.2_3")


@pytest.mark.parametrize("sent", ["", "two words", 'a"b', "x" * 65, "żółw", "a=b"])
def test_an_id_that_could_forge_a_line_is_replaced(client: FlaskClient, lines: list[str], sent: str) -> None:
    answer = client.get("/nothing", headers={"X-Request-Id": sent})

    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])
    assert lines[0].endswith(f"request={answer.headers['X-Request-Id']}")


def test_other_lines_of_the_request_have_its_id(lines: list[str]) -> None:
    answer = away().test_client().get("/schedule")

    warning, request = lines
    assert warning.startswith("WARNING PostgreSQL: ")
    assert warning.endswith(f"request={answer.headers['X-Request-Id']}")
    assert "status=503" in request


def test_a_line_outside_of_requests_has_none(lines: list[str]) -> None:
    logging.getLogger("anywhere").info("hello")

    assert lines == ["INFO hello"]


@pytest.mark.parametrize("path", ["/%0aINFO%20forged", "/%1b[31m", '/"quoted"', "/a%20status=200", "/%e2%80%a8x"])
def test_a_path_cannot_forge_a_line(client: FlaskClient, lines: list[str], path: str) -> None:
    client.get(path)

    [line] = lines
    assert line.splitlines() == [line]
    assert line.isprintable()
    assert line.startswith('INFO GET "/')


def test_probes_that_succeed_are_left_out(client: FlaskClient, lines: list[str]) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert lines == []

    away().test_client().get("/readyz")

    assert "/readyz status=503" in lines[-1]


def test_open_pages_that_look_for_news_are_left_out(client: FlaskClient, lines: list[str]) -> None:
    for headers in ({}, {"If-None-Match": "*"}):
        assert client.get("/", headers={"X-Requested-With": "live", **headers}).status_code in {200, 304}
    assert lines == []

    client.get("/")
    client.get("/models/x", headers={"X-Requested-With": "live"})

    assert [line.split(" status=")[0] for line in lines] == ["INFO GET /", "INFO GET /models/x"]


def test_the_name_of_a_token_is_there_and_never_the_token(lines: list[str]) -> None:
    client = away(API_TOKENS=ENTRY).test_client()

    client.get("/docs", headers={"Authorization": f"Bearer {TOKEN}"})
    client.get("/docs", headers={"Authorization": f"Bearer {SECRET}"})
    client.get(f"/docs?token={SECRET}", headers={"Authorization": f"Basic {SECRET}", "Cookie": SECRET})
    client.get("/schedule", headers={"Authorization": f"Bearer {TOKEN}"})

    strayed = client.get(f"/docs/{TOKEN}", headers={"X-Request-Id": TOKEN})

    assert ["client=grafana" in line for line in lines if "GET" in line] == [True, False, False, True, False]
    assert "GET /docs/cm_... status=401" in lines[-1]
    assert strayed.headers["X-Request-Id"] != TOKEN
    assert not any(word in line for line in lines for word in (SECRET, TOKEN, ENTRY[-64:]))


def test_passwords_of_servers_are_in_no_line_and_no_answer(lines: list[str]) -> None:
    client = away().test_client()

    answers = [client.get(path) for path in ("/schedule", "/readyz", f"/results/{MODEL}", "/status")]

    assert {answer.status_code for answer in answers} == {503}
    assert len(lines) >= len(answers)
    assert not any(SECRET in text for text in (*lines, *(answer.text for answer in answers)))


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("DATABASE_URL", f"postgresql://metrics_api:{SECRET}@[::1/none"),
        ("DATABASE_URL", f"postgresql://metrics_api:{SECRET}%@127.0.0.1:9/none"),
        ("DATABASE_URL", f"host=127.0.0.1 port=9 password={SECRET} nonsense"),
        ("DATABASE_URL", f"host=127.0.0.1 port=9 password='{SECRET}"),
        ("DATABASE_URL", f"postgresql://metrics_api:pass@{SECRET}@127.0.0.1:9/none"),
        ("DATABASE_URL", f"postgresql://metrics_api:{SECRET}/word@127.0.0.1:9/none"),
        ("DATABASE_URL", f"postgresql://metrics_api:123/{SECRET}@127.0.0.1:9/none"),
        ("REDIS_URL", f"redis://:{SECRET}/word@127.0.0.1:9/0"),
        ("REDIS_URL", f"redis://:123/{SECRET}@127.0.0.1:9/0"),
        ("REDIS_URL", f"redis://:123?{SECRET}@127.0.0.1:9/0"),
        ("REDIS_URL", f"redis://:{SECRET}@127.0.0.1:9x/0"),
        ("REDIS_URL", f"{SECRET}@127.0.0.1"),
        ("REDIS_URL", f"redis://:{SECRET}@[::1/0"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_not_repeated(variable: str, url: str) -> None:
    """libpq would repeat parts of it in each of its messages."""
    with pytest.raises(ValueError, match=f"{variable} cannot be read; write ") as refusal:
        Settings.from_env(NOWHERE | {variable: url})

    assert SECRET not in str(refusal.value)


def test_a_password_may_have_any_character_in_its_encoded_form() -> None:
    urls = {
        "DATABASE_URL": "postgresql://a:%40%2F%3A%3F%23@127.0.0.1/b",
        "REDIS_URL": "redis://:%40%2F%3A%3F%23@127.0.0.1/0",
    }

    settings = Settings.from_env(urls)

    assert (settings.database_url, settings.redis_url) == (urls["DATABASE_URL"], urls["REDIS_URL"])


def test_it_does_not_serve_others_without_tokens(tmp_path: Path) -> None:
    env = NOWHERE | {"HOST": "0.0.0.0", "PORT": str(free_port()), "ALLOW_ANONYMOUS": "false"}  # noqa: S104
    with service(["api.main"], env, tmp_path / "api.log") as api:
        assert api.popen.wait(20) == 1

        assert 'HOST is "0.0.0.0", where others could change schedules; set API_TOKENS' in api.output


def test_it_warns_when_it_serves_others_without_tokens(tmp_path: Path) -> None:
    env = NOWHERE | {"HOST": "0.0.0.0", "PORT": str(free_port()), "ALLOW_ANONYMOUS": "true"}  # noqa: S104
    with service(["api.main"], env, tmp_path / "api.log") as api:
        wait_for(lambda: "Serving on" in api.output)

        assert f"WARNING whoever reaches 0.0.0.0:{env['PORT']} may change schedules" in api.output
        assert SECRET not in api.output


def test_with_tokens_it_warns_of_nothing(tmp_path: Path) -> None:
    env = NOWHERE | {"HOST": HOST, "PORT": str(free_port()), "API_TOKENS": ENTRY}
    with service(["api.main"], env, tmp_path / "api.log") as api:
        wait_for(lambda: "Serving on" in api.output)

        assert "WARNING" not in api.output
