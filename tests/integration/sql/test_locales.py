"""The gate takes and refuses the same strings, whatever the locale and the encoding of the database."""

import random
from collections.abc import Iterator

import psycopg2
import pytest

from sql.apply import apply
from tests.support import cron_model
from tests.support.cron_expressions import INVALID, VALID
from tests.support.cron_strings import a_string
from tests.support.databases import Connection, Databases, replace_database, rows, run

LOCALES = {
    "Turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
    "Lithuanian, digits and case by rules of its own": "LOCALE_PROVIDER icu ICU_LOCALE 'lt-u-kn-kf-upper'",
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
    *map(a_string, [random.Random(4)] * 300),
]
ZONES = {"Pacific/Fiji": None, "PACIFIC/FIJI": "Write Pacific/Fiji.", "pacific/fıjı": "Write UTC, or an IANA name"}


@pytest.fixture
def odd_databases(databases: Databases, passwords: dict[str, str]) -> Iterator[dict[str, Connection]]:
    """Databases of odd locales, as far as this PostgreSQL knows them, in which sql/ is applied."""
    server = psycopg2.connect(replace_database(databases.template_url, "postgres"))
    server.autocommit = True
    found = {}
    for number, (name, options) in enumerate(LOCALES.items()):
        try:
            run(server, f"CREATE DATABASE odd_{number} TEMPLATE template0 LOCALE 'C' {options}")
        except (psycopg2.errors.FeatureNotSupported, psycopg2.errors.SyntaxError):
            continue  # built without ICU, or too old for the built-in locales
        url = replace_database(databases.template_url, f"odd_{number}")
        apply(url, passwords=passwords, test_data=False)
        found[name] = psycopg2.connect(url)
        found[name].autocommit = True
    yield found
    for connection in found.values():
        connection.close()
    for number in range(len(LOCALES)):
        run(server, f"DROP DATABASE IF EXISTS odd_{number}")
    server.close()


def test_expressions_and_zones_are_judged_as_everywhere(odd_databases: dict[str, Connection]) -> None:
    assert len(odd_databases) >= 3
    for name, db in odd_databases.items():
        encoding = "iso8859-9" if db.encoding == "LATIN5" else "utf-8"
        if name == "bytes":
            db.set_client_encoding("UTF8")
        strings = [text for text in STRINGS if text.encode(encoding, "replace").decode(encoding) == text]

        judged = rows(
            db,
            "SELECT expression, normalize_cron(expression), (cron_problem(normalize_cron(expression))).message IS NULL"
            " FROM unnest(%s::text[]) AS expression",
            strings,
        )

        assert len(judged) > 300, name
        for expression, normal, accepted in judged:
            assert (name, expression, normal) == (name, expression, cron_model.normal(expression))
            assert (name, expression, accepted) == (name, expression, cron_model.accepts(expression))
        for zone, hint in ZONES.items():
            problems = rows(db, "SELECT hint FROM schedule_problems('* * * * *', %s)", zone)
            assert [found.startswith(hint) for (found,) in problems] == ([True] if hint else []), (name, zone)
