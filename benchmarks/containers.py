"""Sizes of the images, and the start time of the containers: python -m benchmarks.containers [RUNS].

Prints the size and contents that each image adds to its base, and then, when all images exist, the time of
`docker compose up` from nothing (no container, no volume) to healthy.
"""

import json
import os
import statistics
import sys
import time
from typing import NamedTuple, Self

from devstack.ports import free_port
from tests.support.compose.docker_cli import BASE_IMAGE, docker, image_size, size_above_base, unavailable_reason
from tests.support.compose.project import APP_SERVICES, ComposeProject

MB = 1_000_000
BUILT_SERVICES = ("database", *APP_SERVICES)
LIST_CONTENTS = """
import json
from importlib.metadata import distributions
from pathlib import Path
packages = [
    [package.name, package.version,
     sum(file.locate().stat().st_size for file in package.files if file.locate().is_file())]
    for package in distributions()
]
modules = sorted(".".join(file.with_suffix("").parts) for file in Path().rglob("*.py"))
print(json.dumps({"packages": packages, "modules": modules}))
"""


class Package(NamedTuple):
    """An installed package."""

    name: str
    version: str
    size: int  # bytes


class Contents(NamedTuple):
    """Packages in an image, and modules in its working folder."""

    packages: dict[str, Package]
    modules: list[str]

    @classmethod
    def of(cls, image: str) -> Self:
        output = docker("run", "--rm", "--workdir=/app", "--entrypoint=python", image, "-c", LIST_CONTENTS)
        fields = json.loads(output)
        packages = [Package(*package) for package in fields["packages"]]
        return cls({package.name: package for package in packages}, fields["modules"])


def main() -> None:
    """Print all figures; the default is 5 runs."""
    if reason := unavailable_reason():
        sys.exit(reason)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    project = ComposeProject(f"cyclic-metrics-bench-{os.getpid()}", free_port(), {"TEST_DATA": "true"})
    try:
        project.compose("build")
        print_images(project)
        print_start_times(project, runs)
    finally:
        project.remove()


def print_images(project: ComposeProject) -> None:
    base_packages = Contents.of(BASE_IMAGE).packages
    print(f"{BASE_IMAGE}: {image_size(BASE_IMAGE) / MB:.0f} MB\n")
    for service in BUILT_SERVICES:
        image = f"{project.name}-{service}"
        contents = Contents.of(image)
        user = docker("image", "inspect", "--format", "{{.Config.User}}", image).strip()
        total_size, added_size = image_size(image) / MB, size_above_base(image) / MB
        print(f"{service}: {total_size:.0f} MB, {added_size:.0f} MB above its base, user {user}")
        print(f"    {', '.join(contents.modules)}")
        added = [package for name, package in contents.packages.items() if name not in base_packages]
        for package in sorted(added, key=lambda package: -package.size):
            print(f"    {package.size / MB:6.1f} MB  {package.name} {package.version}")
        print()


def print_start_times(project: ComposeProject, runs: int) -> None:
    times = []
    for _ in range(runs):
        started_at = time.monotonic()
        project.up()
        times.append(time.monotonic() - started_at)
        project.compose("down", "--volumes")
    print(f"from nothing to healthy: median {statistics.median(times):.1f} s,", end=" ")
    print(f"{min(times):.1f} to {max(times):.1f} s, {runs} runs")


if __name__ == "__main__":
    main()
