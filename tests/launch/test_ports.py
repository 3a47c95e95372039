"""Ports are free when chosen, and waiting for one ends."""

import socket

import pytest

from config.launch.ports import NotAnswering, free_port, wait_for_port


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
