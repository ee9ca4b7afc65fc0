"""The images, and how soon the containers are healthy: python -m benchmarks.containers [RUNS].

Prints what each image adds to its base and what is in it, and then, with all images there,
how long `docker compose up` takes from nothing (no container, no volume) to healthy.
"""

import json
import os
import statistics
import sys
import time

from devstack.ports import free_port
from tests.support.compose.docker_cli import BASE_IMAGE, docker, image_size, size_above_base, unavailable_reason
from tests.support.compose.project import APP_SERVICES, ComposeProject

MB = 1_000_000
BUILT = ("database", *APP_SERVICES)
CONTENTS = """
import json
from importlib.metadata import distributions
from pathlib import Path
packages = {
    found.name: [found.version, sum(file.locate().stat().st_size for file in found.files if file.locate().is_file())]
    for found in distributions()
}
modules = sorted(".".join(file.with_suffix("").parts) for file in Path().rglob("*.py"))
print(json.dumps([packages, modules]))
"""


def main() -> None:
    """Print all figures; some runs (5 unless told)."""
    if reason := unavailable_reason():
        sys.exit(reason)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    stack = ComposeProject(f"cyclic-metrics-bench-{os.getpid()}", free_port(), {"TEST_DATA": "true"})
    try:
        stack.compose("build")
        print_images(stack)
        print_starts(stack, runs)
    finally:
        stack.remove()


def print_images(stack: ComposeProject) -> None:
    of_the_base, _ = contents(BASE_IMAGE)
    print(f"{BASE_IMAGE}: {image_size(BASE_IMAGE) / MB:.0f} MB\n")
    for service in BUILT:
        image = f"{stack.name}-{service}"
        packages, modules = contents(image)
        user = docker("image", "inspect", "--format", "{{.Config.User}}", image).strip()
        total, added_size = image_size(image) / MB, size_above_base(image) / MB
        print(f"{service}: {total:.0f} MB, {added_size:.0f} MB above its base, user {user}")
        print(f"    {', '.join(modules)}")
        added = {name: packages[name] for name in packages.keys() - of_the_base.keys()}
        for name, (version, bytes_) in sorted(added.items(), key=lambda found: -found[1][1]):
            print(f"    {bytes_ / MB:6.1f} MB  {name} {version}")
        print()


def contents(image: str) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Return the packages with their versions and bytes, and the modules in the working folder."""
    packages, modules = json.loads(
        docker("run", "--rm", "--workdir=/app", "--entrypoint=python", image, "-c", CONTENTS)
    )
    return packages, modules


def print_starts(stack: ComposeProject, runs: int) -> None:
    took = []
    for _ in range(runs):
        started = time.monotonic()
        stack.up()
        took.append(time.monotonic() - started)
        stack.compose("down", "--volumes")
    print(f"from nothing to healthy: median {statistics.median(took):.1f} s,", end=" ")
    print(f"{min(took):.1f} to {max(took):.1f} s, {runs} runs")


if __name__ == "__main__":
    main()
