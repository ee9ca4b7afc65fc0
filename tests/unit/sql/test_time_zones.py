import pytest

from sql import generate_time_zones


def test_committed_file_is_the_output_of_the_generator() -> None:
    text = generate_time_zones.OUTPUT_FILE.read_text(encoding="utf-8")

    assert generate_time_zones.generate_script() == text, "run python -m sql.generate_time_zones"


@pytest.mark.parametrize("name", ["UTC", "Europe/Warsaw", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "US/Eastern"])
def test_time_zone_is_allowed(name: str) -> None:
    assert name in generate_time_zones.allowed_names()


@pytest.mark.parametrize(
    "name",
    [
        "CET",
        "EET",
        "MET",
        "WET",
        "EST",
        "GMT",
        "Factory",
        "localtime",
        "europe/warsaw",
        "UTC+3",
        "Europe/Warsaw5",
    ],
)
def test_time_zone_is_not_allowed(name: str) -> None:
    assert name not in generate_time_zones.allowed_names()


@pytest.mark.parametrize("prefix", ["posix/", "right/"])
def test_names_of_duplicate_zone_file_trees_are_not_allowed(prefix: str) -> None:
    assert not [name for name in generate_time_zones.allowed_names() if name.startswith(prefix)]
