import os
from pathlib import Path

import pytest

from devstack import postgres_account


@pytest.mark.skipif(os.geteuid() != 0, reason="only for root, PostgreSQL runs as another account")
def test_below_an_inaccessible_folder_the_data_are_in_another_one(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_account, "ACCESSIBLE_DIR", data_dir / "accessible")
    tmp_path.chmod(0o700)

    folder = postgres_account.accessible_folder(tmp_path / "postgres-18")

    assert folder.is_relative_to(data_dir / "accessible")
    assert (tmp_path / "postgres-18").resolve() == folder
    assert postgres_account.accessible_folder(tmp_path / "postgres-18") == folder
