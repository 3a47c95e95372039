"""One connection to one address, with honest errors, that a signal can cut short."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from federation.site.transport.client import (
    SMALL,
    AccessRefused,
    Client,
    HubAbsent,
    RequestRejected,
    origin,
    unsigned,
)

Reply = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    """Does not wait for kept-alive connections when it ends."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client: object) -> None:
        """The client went away, as the test wants it."""


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server that gives its replies in turn (a float: seconds to wait) and its URL."""
    servers: list[Server] = []

    def start(*replies: Reply | float) -> str:
        queue = list(replies)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                reply = queue.pop(0)
                if isinstance(reply, float):
                    time.sleep(reply)
                    reply = (204, {}, b"")
                status, headers, body = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        servers.append(Server(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def client() -> Iterator[Callable[[str], Client]]:
    made: list[Client] = []

    def make(url: str, **options: object) -> Client:
        made.append(Client(url, unsigned, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., Client]
Serve = Callable[..., str]


def test_an_answer_comes_back(serve: Serve, client: Make) -> None:
    answer = client(serve((200, {}, b'{"a": 1}'))).request("GET", "hello")
    assert (answer.status, answer.json()) == (200, {"a": 1})


@pytest.mark.parametrize("body", [b"<html>a portal</html>", b"[1]", b"\xff"])
def test_something_else_than_a_hub_is_absent(serve: Serve, client: Make, body: bytes) -> None:
    answer = client(serve((200, {}, body))).request("GET", "hello")
    with pytest.raises(HubAbsent, match="hub's address"):
        answer.json()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AccessRefused),
        (403, AccessRefused),
        (404, RequestRejected),
        (409, RequestRejected),
        (413, RequestRejected),
        (302, RequestRejected),
        (408, HubAbsent),
        (429, HubAbsent),
        (500, HubAbsent),
        (503, HubAbsent),
    ],
)
def test_each_status_has_its_meaning(
    serve: Serve, client: Make, status: int, error: type[Exception]
) -> None:
    url = serve((status, {"Location": "http://127.0.0.1:1/"}, b'{"error": "so\\nit is"}'))
    with pytest.raises(error) as caught:
        client(url).request("GET", "hello")
    assert "\n" not in str(caught.value)


def test_a_busy_hub_says_when(serve: Serve, client: Make) -> None:
    with pytest.raises(HubAbsent) as caught:
        client(serve((429, {"Retry-After": "7"}, b""))).request("GET", "hello")
    assert caught.value.retry_after == 7


DEEP = b"[" * 500_000


@pytest.mark.parametrize("said", ["\xb2", "-1", "1e9", "soon", "9" * 5000])
def test_a_hub_that_says_something_odd_is_only_absent(
    serve: Serve, client: Make, said: str
) -> None:
    with pytest.raises(HubAbsent) as caught:
        client(serve((429, {"Retry-After": said}, DEEP))).request("GET", "hello")
    assert caught.value.retry_after == (300 if said.isnumeric() and said.isascii() else 0)


def test_what_it_says_can_be_printed(serve: Serve, client: Make) -> None:
    body = b'{"error": "so \\ud800 \\u001b[31m\\u202e it \\r\\nis"}'
    with pytest.raises(RequestRejected, match=r"^409: so \[31m it is$"):
        client(serve((409, {}, body))).request("GET", "hello")


def test_nested_without_end_is_no_hubs_answer(serve: Serve, client: Make) -> None:
    one = client(serve((200, {}, DEEP), (409, {}, DEEP)))
    with pytest.raises(HubAbsent, match="hub's address"):
        one.request("GET", "hello").json()
    with pytest.raises(RequestRejected, match="status 409"):
        one.request("GET", "hello")


@pytest.mark.parametrize("location", ["\xff", "http://[::1", "//", ""])
def test_no_location_is_even_looked_at(serve: Serve, client: Make, location: str) -> None:
    with pytest.raises(RequestRejected, match="status 302"):
        client(serve((302, {"Location": location}, b""))).request("GET", "hello")


def test_an_endless_answer_is_cut(serve: Serve, client: Make) -> None:
    with pytest.raises(HubAbsent, match="larger than agreed"):
        client(serve((200, {}, b"x" * (SMALL + 1)))).request("GET", "hello")


def test_a_slow_hub_is_absent(serve: Serve, client: Make) -> None:
    with pytest.raises(HubAbsent, match="no answer in time"):
        client(serve(1.5)).request("GET", "hello", seconds=0.2)


def test_a_wait_can_be_cut_from_outside(serve: Serve, client: Make) -> None:
    one = client(serve(3.0))
    threading.Timer(0.3, one.interrupt).start()
    started = time.monotonic()
    with pytest.raises(HubAbsent):
        one.request("GET", "hello")
    assert time.monotonic() - started < 2


def test_no_wait_begins_once_it_was_interrupted(serve: Serve, client: Make) -> None:
    """The signal came between two requests: there was nothing to cut yet."""
    one = client(serve((204, {}, b""), 3.0))
    assert one.request("GET", "hello").status == 204
    one.interrupt()
    started = time.monotonic()
    with pytest.raises(HubAbsent, match="interrupted"):
        one.request("GET", "assignments?wait=20", idle=True)
    assert time.monotonic() - started < 2


def test_nor_where_it_comes_while_a_closed_connection_is_replaced(
    serve: Serve, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes after the last look at it, before the new connection is open."""
    one, once, tries = client(serve((204, {}, b""))), Client._once, []

    def tried(self: Client, *arguments: object) -> object:
        tries.append(arguments)
        if len(tries) == 1:
            raise requests.ConnectionError("the hub closed the kept-alive connection")
        self.interrupt()
        return once(self, *arguments)

    monkeypatch.setattr(Client, "_once", tried)
    with pytest.raises(HubAbsent, match="interrupted"):
        one.request("GET", "assignments?wait=20", idle=True)
    assert len(tries) == 2


def test_what_is_to_be_said_is_still_said_after_an_interruption(serve: Serve, client: Make) -> None:
    one = client(serve((204, {}, b""), (204, {}, b"")))
    assert one.request("GET", "hello").status == 204
    one.interrupt()
    assert one.request("GET", "journal").status == 204


def test_proxies_come_from_site_toml_only(
    serve: Serve, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert client(serve((204, {}, b""))).request("GET", "hello").status == 204
    proxy = serve((204, {}, b""))
    through = client("http://hub.invalid", proxy=proxy)
    assert through.request("GET", "hello").status == 204


def test_a_wrong_certificate_authority_is_absent_not_a_crash(client: Make, tmp_path: Path) -> None:
    with pytest.raises(HubAbsent):
        client("https://127.0.0.1:9", ca_file=tmp_path / "none.pem").request("GET", "hello")


def test_logs_show_no_password() -> None:
    assert origin("https://user:secret@hub.example.org:8443/x?y") == "https://hub.example.org:8443"
