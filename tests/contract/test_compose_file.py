"""Variables of the services in compose.yaml."""

import re

import pytest

from devstack.process import ROOT
from tests.support.environment_variables import environment_variables

SERVICES = ("api", "scheduler", "worker")
LIBPQ_VARIABLES = {"PGPASSWORD"}
IMAGE_VARIABLES = {"HOST", "PORT"}


def compose_variables(service: str) -> set[str]:
    """Return the names of the variables that compose.yaml sets for a service."""
    section = (ROOT / "compose.yaml").read_text().split(f"\n  {service}:")[1]
    [block] = re.findall(r"^    environment:\n((?: {6}.+\n)+)", section.split("\n\n")[0], re.MULTILINE)
    return set(re.findall(r"^ {6}(\w+):", block, re.MULTILINE))


@pytest.mark.parametrize("service", SERVICES)
def test_compose_sets_the_variables_that_the_settings_read(service: str) -> None:
    assert compose_variables(service) - LIBPQ_VARIABLES == environment_variables(service) - IMAGE_VARIABLES
