"""Variables of the services in compose.yaml. Needs no Docker."""

import re

import pytest

from devstack.process import ROOT
from tests.support.environment_variables import environment_variables

SERVICES = ("api", "scheduler", "worker")
OF_LIBPQ = {"PGPASSWORD"}
OF_THE_IMAGE = {"HOST", "PORT"}


def given(service: str) -> set[str]:
    """Return the variables that compose gives to a service."""
    section = (ROOT / "compose.yaml").read_text().split(f"\n  {service}:")[1]
    [block] = re.findall(r"^    environment:\n((?: {6}.+\n)+)", section.split("\n\n")[0], re.MULTILINE)
    return set(re.findall(r"^ {6}(\w+):", block, re.MULTILINE))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_what_its_settings_read(service: str) -> None:
    assert given(service) - OF_LIBPQ == environment_variables(service) - OF_THE_IMAGE
