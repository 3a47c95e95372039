"""Ports are free when chosen, and waiting for one ends."""

import socket

import pytest

from config.launch.ports import (
    NotAnswering,
    PortTaken,
    free_port,
    listen,
    wait_for_page,
    wait_for_port,
)


def test_a_taken_port_is_not_chosen():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
        wait_for_port(port, 1)


def test_a_preferred_port_is_kept_when_it_is_free():
    port = free_port()
    assert free_port(port) == port


def test_waiting_gives_up_with_a_sentence():
    with pytest.raises(NotAnswering, match="nothing listens"):
        wait_for_port(free_port(), 0.1)


def test_a_socket_holds_its_port():
    held = listen(free_port())
    port = held.getsockname()[1]
    with pytest.raises(PortTaken, match=f"port {port} is in use"):
        listen(port)
    held.close()
    listen(port).close()


def test_a_page_that_never_answers_names_its_log(tmp_path):
    with pytest.raises(NotAnswering, match=r"read .*web\.log"):
        wait_for_page(f"http://127.0.0.1:{free_port()}/", 0.2, tmp_path / "web.log")
