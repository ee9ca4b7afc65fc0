"""Generated strings on which the validation trigger, core.cron and the reference model must agree."""

import random

import pytest
from psycopg2.errors import CheckViolation

from core.cron.expression import InvalidCron, parse
from tests.support import cron_model
from tests.support.cron_strings import random_string, valid_expression
from tests.support.databases import Connection, execute, fetch_all, fetch_value

STRINGS_PER_SEED = 1000
SEEDS = 2

# Inserts each string by a statement of its own, as a user would.
TRY_EACH = """
    CREATE FUNCTION pg_temp.try_each(expressions text[])
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
    factor = config.getoption("fuzz")
    return [random.randrange(10**9) for _ in range(SEEDS * factor)] if factor else list(range(SEEDS))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("seed", seeds(metafunc.config))


def is_parsed(expression: str) -> bool:
    try:
        parse(expression)
    except InvalidCron:
        return False
    return True


def test_implementations_agree_on_every_string(db: Connection, seed: int) -> None:
    rng = random.Random(seed)
    strings = [random_string(rng) for _ in range(STRINGS_PER_SEED)]
    execute(db, TRY_EACH)

    outcomes = fetch_all(db, "SELECT * FROM pg_temp.try_each(%s::text[])", strings)

    assert len(outcomes) == STRINGS_PER_SEED
    for expression, stored, code, message, hint in outcomes:
        accepted = cron_model.is_valid(expression)
        normalized = cron_model.normalize(expression)
        assert (expression, stored) == (expression, normalized if accepted else None)
        assert (expression, is_parsed(normalized)) == (expression, accepted)
        if accepted:
            fields = [set(values) for values in parse(normalized)[:5]]
            assert (expression, fields) == (expression, cron_model.parse(normalized).fields)
        else:
            assert (expression, code) == (expression, "23514")
            assert message.startswith("cron_expression ")
            assert hint


def test_one_invalid_expression_among_many_is_rejected(db: Connection, seed: int) -> None:
    """The trigger validates many expressions at once by a different algorithm than a single one."""
    rng = random.Random(seed)
    valid = [text for text in (valid_expression(rng) for _ in range(300)) if cron_model.is_valid(text)]
    invalid = [text for text in (random_string(rng) for _ in range(120)) if not cron_model.is_valid(text)]

    execute(db, INSERT_ALL, valid)
    assert fetch_value(db, "SELECT count(*) FROM metrics_executions") == len(valid)

    for text in invalid:
        index = rng.randrange(len(valid))
        with pytest.raises(CheckViolation):
            execute(db, INSERT_ALL, [*valid[:index], text, *valid[index:]])
