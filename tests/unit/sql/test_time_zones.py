import pytest

from sql import generate_time_zones


def test_the_committed_file_is_what_the_script_writes() -> None:
    text = generate_time_zones.OUTPUT_FILE.read_text(encoding="utf-8")

    assert generate_time_zones.generate_script() == text, "run python -m sql.generate_time_zones"


@pytest.mark.parametrize("name", ["UTC", "Europe/Warsaw", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "US/Eastern"])
def test_a_schedule_may_name(name: str) -> None:
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
def test_a_schedule_may_not_name(name: str) -> None:
    assert name not in generate_time_zones.allowed_names()


@pytest.mark.parametrize("prefix", ["posix/", "right/"])
def test_no_name_comes_from_a_second_set_of_zone_files(prefix: str) -> None:
    assert not [name for name in generate_time_zones.allowed_names() if name.startswith(prefix)]
