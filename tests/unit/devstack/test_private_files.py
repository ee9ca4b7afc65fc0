from pathlib import Path

from devstack.private_files import load_passwords


def test_passwords_are_saved_in_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"

    first = load_passwords(file, ["api"])

    assert load_passwords(file, ["api", "worker"])["api"] == first["api"]
    assert file.stat().st_mode & 0o777 == 0o600
