"""Generated strings: the gate, the scheduler's reading and the reference model must agree on every one."""

import random

import pytest
from psycopg2.errors import CheckViolation

from core.cron.expression import InvalidCron, parse
from tests.support import cron_model
from tests.support.cron_strings import a_string, valid
from tests.support.databases import Connection, one, rows, run

PORTION = 1000
SEEDS = 2

# What happens to each string when it is inserted alone, as a user would.
TRY = """
    CREATE FUNCTION pg_temp.try(expressions text[])
    RETURNS TABLE (expression text, stored text, code text, message text, hint text) LANGUAGE plpgsql AS $$
    BEGIN
        FOREACH expression IN ARRAY expressions LOOP
            stored := NULL; code := NULL; message := NULL; hint := NULL;
            BEGIN
                INSERT INTO metrics_executions (model_id, cron_expression) VALUES (gen_random_uuid(), expression)
                RETURNING cron_expression INTO stored;
            EXCEPTION WHEN OTHERS THEN
                stored := NULL;
                GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
            END;
            RETURN NEXT;
        END LOOP;
        DELETE FROM metrics_executions;
    END $$
"""
INSERT_ALL = """
    INSERT INTO metrics_executions (model_id, cron_expression)
    SELECT gen_random_uuid(), expression FROM unnest(%s::text[]) AS expression
"""


def seeds(config: pytest.Config) -> list[int]:
    times = config.getoption("fuzz")
    return [random.randrange(10**9) for _ in range(SEEDS * times)] if times else list(range(SEEDS))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("seed", seeds(metafunc.config))


def reads(expression: str) -> bool:
    try:
        parse(expression)
    except InvalidCron:
        return False
    return True


def test_all_agree_on_every_string(db: Connection, seed: int) -> None:
    chance = random.Random(seed)
    strings = [a_string(chance) for _ in range(PORTION)]
    run(db, TRY)

    tried = rows(db, "SELECT * FROM pg_temp.try(%s::text[])", strings)

    assert len(tried) == PORTION
    for expression, stored, code, message, hint in tried:
        accepted = cron_model.accepts(expression)
        normal = cron_model.normal(expression)
        assert (expression, stored) == (expression, normal if accepted else None)
        assert (expression, reads(normal)) == (expression, accepted)
        if accepted:
            fields = [set(values) for values in parse(normal)[:5]]
            assert (expression, fields) == (expression, cron_model.read(normal).fields)
        else:
            assert (expression, code) == (expression, "23514")
            assert message.startswith("cron_expression ")
            assert hint


def test_one_bad_expression_among_many_is_found(db: Connection, seed: int) -> None:
    """The gate judges many at once in another way than one alone."""
    chance = random.Random(seed)
    good = [text for text in (valid(chance) for _ in range(300)) if cron_model.accepts(text)]
    bad = [text for text in (a_string(chance) for _ in range(120)) if not cron_model.accepts(text)]

    run(db, INSERT_ALL, good)
    assert one(db, "SELECT count(*) FROM metrics_executions") == len(good)

    for text in bad:
        place = chance.randrange(len(good))
        with pytest.raises(CheckViolation):
            run(db, INSERT_ALL, [*good[:place], text, *good[place:]])
