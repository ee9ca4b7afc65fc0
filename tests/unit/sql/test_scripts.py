"""Choice of the scripts that a database still needs, and the scripts themselves."""

import re

import pytest

from sql.scripts import EditedMigration, Script, pending, scripts, unknown_migrations

FIRST, SECOND = Script("migrations/0001_first.sql", "SELECT 1"), Script("migrations/0002_second.sql", "SELECT 2")
VIEWS, GRANTS = Script("repeatable/060_views.sql", "SELECT 3"), Script("repeatable/070_grants.sql", "SELECT 4")
SCRIPTS = [FIRST, SECOND, VIEWS, GRANTS]


def records(*applied: Script, **other: str) -> dict[str, str]:
    return {script.name: script.checksum for script in applied} | other


def test_checksum_is_the_sha256_of_the_content() -> None:
    assert Script("migrations/0001_first.sql", "SELECT 1").checksum == (
        "e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5"
    )


def test_new_database_needs_every_script() -> None:
    assert pending(SCRIPTS, {}) == SCRIPTS


def test_upgraded_database_needs_no_script() -> None:
    assert pending(SCRIPTS, records(*SCRIPTS)) == []


def test_migration_with_a_lower_number_than_others_that_have_run_is_pending() -> None:
    assert pending(SCRIPTS, records(SECOND, VIEWS, GRANTS)) == [FIRST]


def test_only_changed_repeatable_scripts_are_pending() -> None:
    assert pending(SCRIPTS, records(*SCRIPTS) | {VIEWS.name: "of other content"}) == [VIEWS]


def test_edited_migration_is_named() -> None:
    with pytest.raises(EditedMigration, match=r"^sql/migrations/0002_second.sql was edited after it ran on this "):
        pending(SCRIPTS, records(FIRST) | {SECOND.name: "of other content"})


def test_migrations_of_a_newer_version_are_named_and_removed_repeatable_scripts_are_not() -> None:
    applied = records(*SCRIPTS) | {"migrations/0003_third.sql": "x", "repeatable/080_removed.sql": "x"}

    assert unknown_migrations(SCRIPTS, applied) == ["migrations/0003_third.sql"]


def test_scripts_are_numbered_and_no_number_stands_twice() -> None:
    names = [script.name for script in scripts()]
    numbers = [re.fullmatch(r"(migrations/\d{4}|repeatable/\d{3})_[a-z_]+\.sql", name) for name in names]

    assert None not in numbers
    assert len({number[1] for number in numbers if number}) == len(names)
