import os
from pathlib import Path

import pytest

from devstack.postgres_account import accessible_folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only for root, PostgreSQL runs as another account")
def test_below_an_inaccessible_folder_the_data_are_in_another_one(tmp_path: Path, data_dir: Path) -> None:
    accessible_dir = data_dir / "accessible"
    tmp_path.chmod(0o700)

    folder = accessible_folder(tmp_path / "postgres-18", accessible_dir)

    assert folder.is_relative_to(accessible_dir)
    assert (tmp_path / "postgres-18").resolve() == folder
    assert accessible_folder(tmp_path / "postgres-18", accessible_dir) == folder
