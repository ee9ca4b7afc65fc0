import socket

from devstack.ports import HOST, free_port, unavailable_reason


def test_a_port_with_a_listener_is_unavailable() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert unavailable_reason(server.getsockname()[1]) is not None

    assert unavailable_reason(free_port()) is None
