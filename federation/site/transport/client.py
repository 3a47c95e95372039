"""One kept-alive HTTP connection to the hub; every request is signed with the site's key."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

API = "/site-api/v1/"
CONNECT_SECONDS = 5.0
SMALL = 2**20  # no control answer is longer
_TRANSIENT = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError, OSError)


class HubAbsent(Exception):
    """The hub gave no usable answer; the same request may succeed later."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class AccessRefused(Exception):
    """The hub does not accept this site's signature (401, 403): a person has to look."""


class RequestRejected(Exception):
    """The hub understood and said no (404, 409, 413, ...)."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error


class Sign(Protocol):
    """Computes the headers that sign one request (RFC 9421)."""

    def __call__(
        self, *, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        """Return the extra headers."""


def unsigned(*, method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """No signature: only for enrolment, where the hub does not know our key yet."""
    return {}


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of an accepted request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises HubAbsent when it is none: that is no hub."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise HubAbsent("the answer is not JSON; is this the hub's address?") from error
        if not isinstance(document, dict):
            raise HubAbsent("the answer is not a JSON object; is this the hub's address?")
        return document


class Client:
    """Requests to {url}/site-api/v1/, one after the other, over one connection.

    Proxies come from `proxy` alone and never from the environment; redirects are not followed:
    the site speaks with its pinned address only.
    """

    def __init__(
        self, url: str, sign: Sign, *, proxy: str | None = None, ca_file: Path | None = None
    ) -> None:
        self._base = url.rstrip("/") + API
        self._sign = sign
        self._adapter = _WatchedAdapter()
        self._session = _Session()
        self._session.trust_env = False
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "cloister-site"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        if proxy:
            self._session.proxies = {"http": proxy, "https": proxy}
        if ca_file:
            self._session.verify = str(ca_file)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        seconds: float = 30.0,
        limit: int = SMALL,
        idle: bool = False,
    ) -> Answer:
        """Send one signed request; `seconds` bounds each wait for bytes, `limit` the answer.

        `headers` are further ones; the signature does not cover them. An `idle` request only
        waits for news: after an interruption none is begun, while answers may still be sent.

        Every request of the site API may be repeated without harm, so a kept-alive connection
        that the hub closed meanwhile is replaced once, with a fresh signature.

        Raises:
            HubAbsent: no answer, 408, 429 or 5xx.
            AccessRefused: 401 or 403.
            RequestRejected: any other refusal.
        """
        more = {**({"Content-Type": content_type} if body else {}), **(headers or {})}
        self._adapter.idle = idle
        try:
            return self._once(method, path, body, more, seconds, limit)
        except requests.exceptions.ConnectTimeout as error:
            raise HubAbsent("connecting took too long") from error
        except _Interrupted as error:
            raise HubAbsent("interrupted") from error
        except requests.ConnectionError:
            return self._again(method, path, body, more, seconds, limit)
        except _TRANSIENT as error:
            raise HubAbsent(_short(error)) from error

    def interrupt(self) -> None:
        """Cut a wait short, from a signal handler: the pending request ends with HubAbsent."""
        self._adapter.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _again(self, *arguments: Any) -> Answer:
        if self._adapter.interrupted:
            raise HubAbsent("interrupted")
        try:
            return self._once(*arguments)
        except _Interrupted as error:
            raise HubAbsent("interrupted") from error
        except _TRANSIENT as error:
            raise HubAbsent(_short(error)) from error

    def _once(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float,
        limit: int,
    ) -> Answer:
        url = self._base + quote(path, safe="/?=&")
        signature = self._sign(method=method, url=url, headers=headers, body=body)
        response = self._session.request(
            method,
            url,
            data=body,
            headers={**headers, **signature},
            timeout=(CONNECT_SECONDS, seconds),
            allow_redirects=False,
            stream=True,
        )
        data = response.raw.read(limit + 1, decode_content=False)
        if len(data) > limit:
            response.close()
            raise HubAbsent("the answer is larger than agreed")
        return _judged(response, data)


def _judged(response: requests.Response, data: bytes) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(status, data, response.headers)
    text = _error(data)
    if status in (401, 403):
        raise AccessRefused(text or f"status {status}")
    if status in (408, 429) or status >= 500:
        raise HubAbsent(f"status {status}", _seconds(response.headers.get("Retry-After", "")))
    raise RequestRejected(status, text or f"status {status}")


def _error(data: bytes) -> str:
    """The hub's sentence, cut short, on one line and printable: it goes to a log or a terminal."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    text = str(document.get("error", "")) if isinstance(document, dict) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _seconds(text: str) -> float:
    """Of a Retry-After header; a date is not followed. `isdigit` alone also takes '²'."""
    return min(float(text), 300.0) if text.isascii() and text.isdigit() else 0.0


def _short(error: Exception) -> str:
    """The kind of failure only: the full text of a network error repeats URLs and addresses."""
    names: dict[type, str] = {
        requests.ReadTimeout: "no answer in time",
        requests.exceptions.SSLError: "TLS failed",
    }
    return names.get(type(error), f"no connection ({type(error).__name__})")


def origin(url: str) -> str:
    """scheme://host:port of `url`, for logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _Session(requests.Session):
    """Looks at no Location: requests parses one even where redirects are not followed."""

    def resolve_redirects(self, *arguments: Any, **options: Any) -> Any:
        """None: see the class."""
        return iter(())


class _Interrupted(Exception):
    """A wait was to begin on a new connection after the interruption."""


class _WatchedAdapter(HTTPAdapter):
    """Keeps sight of the open socket, so that a signal handler can end a long wait.

    The signal may come between two requests. The next one then finds its connection closed and
    opens another, which nobody would cut any more: an idle one ends there.

    urllib3 sets TCP_NODELAY on every connection: small requests are not held back.
    """

    interrupted = False
    idle = False
    _socket: socket.socket | None = None

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make pools whose connections report their socket."""
        super().init_poolmanager(*arguments, **options)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """The same for connections through a proxy."""
        manager = super().proxy_manager_for(*arguments, **options)
        self._watch(manager)
        return manager

    def interrupt(self) -> None:
        """Shut the open socket down; a blocked read returns at once."""
        self.interrupted = True
        if self._socket is not None:
            try:
                # The plain socket's own method: TLS would first wait for the other side.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                self._socket = None  # it was closed already

    def _watch(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            "http": self._pool(urllib3.HTTPConnectionPool),
            "https": self._pool(urllib3.HTTPSConnectionPool),
        }

    def _pool(self, pool: Any) -> Any:
        adapter = self

        class Connection(pool.ConnectionCls):
            def connect(self) -> None:
                super().connect()
                adapter._socket = self.sock
                if adapter.interrupted and adapter.idle:  # after the socket is in sight
                    raise _Interrupted

        return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": Connection})
