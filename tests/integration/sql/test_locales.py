"""Validation does not depend on the locale and the encoding of the database."""

import random
from collections.abc import Iterator

import psycopg2
import pytest

from sql.apply import apply
from tests.support import cron_model
from tests.support.cron_expressions import INVALID, VALID
from tests.support.cron_strings import random_string
from tests.support.databases import Connection, Databases, execute, fetch_all, replace_database

LOCALES = {
    "Turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
    "Lithuanian, numeric order, upper case first": "LOCALE_PROVIDER icu ICU_LOCALE 'lt-u-kn-kf-upper'",
    "full Unicode": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'",
    "Turkish in eight bits": "ENCODING 'LATIN5'",
    "bytes": "ENCODING 'SQL_ASCII'",
}
STRINGS = [
    *VALID,
    *INVALID,
    *(expression.upper() for expression in VALID),
    "0 9 * * FRİ",
    "0 9 * * frı",
    "0 0 * DİC-dec *",
    "0 0 1 JAN-JULY *",
    "@DAİLY",
    "@daıly",
    *map(random_string, [random.Random(4)] * 300),
]
ZONES = {"Pacific/Fiji": None, "PACIFIC/FIJI": "Write Pacific/Fiji.", "pacific/fıjı": "Write UTC, or an IANA name"}


@pytest.fixture
def databases_by_locale(databases: Databases, passwords: dict[str, str]) -> Iterator[dict[str, Connection]]:
    """Databases with sql/ applied, in all of these locales that this PostgreSQL supports."""
    server = psycopg2.connect(replace_database(databases.template_url, "postgres"))
    server.autocommit = True
    connections = {}
    for number, (name, options) in enumerate(LOCALES.items()):
        try:
            execute(server, f"CREATE DATABASE locale_{number} TEMPLATE template0 LOCALE 'C' {options}")
        except (psycopg2.errors.FeatureNotSupported, psycopg2.errors.SyntaxError):
            continue  # built without ICU, or too old for the built-in locales
        url = replace_database(databases.template_url, f"locale_{number}")
        apply(url, passwords=passwords, test_data=False)
        connections[name] = psycopg2.connect(url)
        connections[name].autocommit = True
    yield connections
    for connection in connections.values():
        connection.close()
    for number in range(len(LOCALES)):
        execute(server, f"DROP DATABASE IF EXISTS locale_{number}")
    server.close()


def test_validation_is_the_same_in_every_locale(
    databases_by_locale: dict[str, Connection],
) -> None:
    assert len(databases_by_locale) >= 3
    for name, db in databases_by_locale.items():
        encoding = "iso8859-9" if db.encoding == "LATIN5" else "utf-8"
        if name == "bytes":
            db.set_client_encoding("UTF8")
        strings = [text for text in STRINGS if text.encode(encoding, "replace").decode(encoding) == text]

        outcomes = fetch_all(
            db,
            "SELECT expression, normalize_cron(expression), (cron_problem(normalize_cron(expression))).message IS NULL"
            " FROM unnest(%s::text[]) AS expression",
            strings,
        )

        assert len(outcomes) > 300, name
        for expression, normalized, accepted in outcomes:
            assert (name, expression, normalized) == (name, expression, cron_model.normalize(expression))
            assert (name, expression, accepted) == (name, expression, cron_model.is_valid(expression))
        for zone, hint in ZONES.items():
            problems = fetch_all(db, "SELECT hint FROM schedule_problems('* * * * *', %s)", zone)
            assert [text.startswith(hint) for (text,) in problems] == ([True] if hint else []), (name, zone)
