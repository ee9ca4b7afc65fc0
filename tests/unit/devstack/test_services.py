import pytest

from devstack.services import url_as


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("postgresql://owner:pw@db:5432/x", "postgresql://api:p%40w@db:5432/x"),
        ("postgresql://owner:p@w@db/x?sslmode=require", "postgresql://api:p%40w@db/x?sslmode=require"),
        ("postgresql:///x?host=/run/postgresql", "postgresql://api:p%40w@/x?host=/run/postgresql"),
        ("postgres://[::1]:5432/x", "postgres://api:p%40w@[::1]:5432/x"),
    ],
)
def test_the_url_of_a_service_differs_in_role_and_password_only(owner: str, expected: str) -> None:
    assert url_as(owner, "api", "p@w") == expected
