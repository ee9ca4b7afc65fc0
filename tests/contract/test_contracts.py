"""Agreements between services, and between the code and other files."""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from core.queue.batch import Batch
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY, broker_tls
from tests.support.databases import MODEL
from tests.support.environment_variables import environment_variables

REQUIREMENTS = Path("requirements")
SERVICES = ["api", "scheduler", "worker"]


@pytest.fixture
def worker_task(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", "postgresql://unused")
    monkeypatch.setenv("REDIS_URL", "redis://unused")
    from worker.tasks import calculate  # noqa: PLC0415  # reads the environment

    return calculate


def test_message_of_the_scheduler_calls_the_task_of_the_worker(worker_task: Any) -> None:
    batch = Batch([MODEL], datetime(2026, 11, 24, 12, tzinfo=UTC), requested=True)
    message = batch.message(queued_at=datetime(2026, 11, 24, 12, tzinfo=UTC))

    assert message.name == worker_task.name
    assert Batch.from_arguments(message.kwargs) == batch


def test_worker_consumes_the_queue_of_the_scheduler(worker_task: Any) -> None:
    from worker.app import settings  # noqa: PLC0415  # reads the environment

    conf = worker_task.app.conf

    assert conf.task_default_queue == QUEUE
    assert conf.broker_transport_options["visibility_timeout"] > conf.task_time_limit > settings.time_limit
    assert conf.accept_content == ["json"]


def test_unacked_index_key_is_that_of_kombu(worker_task: Any) -> None:
    assert worker_task.app.connection_for_read().transport.Channel.unacked_index_key == UNACKED_INDEX_KEY
    assert "unacked_index_key" not in worker_task.app.conf.broker_transport_options


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("rediss://redis.example.com/0", {"ssl_cert_reqs": ssl.CERT_REQUIRED}),
        # redis-py requires a certificate by default
        ("rediss://redis.example.com/0?ssl_ca_certs=/ca.pem", {"ssl_ca_certs": "/ca.pem"}),
        ("rediss://redis.example.com/0?ssl_cert_reqs=none", {"ssl_cert_reqs": ssl.CERT_NONE}),
        ("redis://redis.example.com/0", None),
    ],
)
def test_broker_certificate_is_required_unless_its_url_disables_that(url: str, tls: object) -> None:
    with Celery(broker=url, broker_use_ssl=broker_tls(url)) as app:
        assert (app.connection_for_write().ssl or None) == tls


@pytest.mark.parametrize("service", SERVICES)
def test_readme_lists_every_variable_of_a_service(service: str) -> None:
    readme = Path("README.md").read_text()

    for variable in environment_variables(service):
        assert f"`{variable}`" in readme, variable


def test_readme_lists_every_variable_of_compose() -> None:
    readme = Path("README.md").read_text()

    for variable in re.findall(r"\$\{(\w+)", Path("compose.yaml").read_text()):
        assert f"`{variable}`" in readme, variable


@pytest.mark.parametrize("service", SERVICES)
def test_invalid_setting_is_rejected_by_name(service: str) -> None:
    module = __import__(f"{service}.settings", fromlist=["Settings"])
    env = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused"}

    for variable in environment_variables(service) - {"HOST", "ALLOWED_HOSTS"} - env.keys():
        with pytest.raises(ValueError, match=f'{variable} is (not name:|"none"; write (a whole number|true or false))'):
            module.Settings.from_env(env | {variable: "none"})
    for variable in env:
        with pytest.raises(KeyError, match=variable):
            module.Settings.from_env({name: value for name, value in env.items() if name != variable})


def test_each_package_is_pinned_at_one_version() -> None:
    versions: dict[str, set[str]] = {}
    for file in REQUIREMENTS.glob("*.txt"):
        for name, version, marker in re.findall(r"^([\w.-]+)==(\S+)(.*)\\$", file.read_text(), re.MULTILINE):
            versions.setdefault(f"{name}{marker.split('platform')[0]}", set()).add(version)

    assert {name: pinned for name, pinned in versions.items() if len(pinned) > 1} == {}


def test_images_have_only_the_packages_that_they_use() -> None:
    pinned = {file.stem: file.read_text() for file in REQUIREMENTS.glob("*.txt")}

    assert "scikit-learn==" not in pinned["api"] + pinned["scheduler"]
    assert "flask==" not in pinned["worker"] + pinned["scheduler"]
    assert "celery==" not in pinned["api"]
