"""Parser of cron expressions."""

import pytest

from core.cron.expression import InvalidCron, parse
from tests.support.cron_expressions import INVALID, VALID


@pytest.mark.parametrize("expression", VALID)
def test_parser_accepts_valid_expression(expression: str) -> None:
    assert all(parse(expression)[:5])


@pytest.mark.parametrize("expression", INVALID)
def test_parser_rejects_invalid_expression(expression: str) -> None:
    with pytest.raises(InvalidCron):
        parse(expression)


def test_parser_returns_the_values_of_every_field() -> None:
    cron = parse("0,30 8-18/5 1,15 jan-mar 5-7")

    assert cron.minutes == {0, 30}
    assert cron.hours == {8, 13, 18}
    assert cron.days_of_month == {1, 15}
    assert cron.months == {1, 2, 3}
    assert cron.days_of_week == {5, 6, 0}


@pytest.mark.parametrize(
    ("expression", "both_days", "wildcard"),
    [
        ("0 0 1 * 1", False, False),
        ("0 0 */2 * 1", True, False),
        ("0 0 1 * *", True, False),
        ("*/5 0 1 * 1", False, True),
        ("0 */2 1 * 1", False, True),
        ("0-59 0-23 1-31 * 0-6", False, False),
        ("@hourly", True, True),
        ("@daily", True, False),
    ],
)
def test_star_at_the_start_of_a_field_sets_both_days_or_wildcard(
    expression: str, both_days: bool, wildcard: bool
) -> None:
    cron = parse(expression)

    assert (cron.both_days, cron.wildcard) == (both_days, wildcard)
