"""Static files by HTTP, as the web process serves them: charts alone are 5 MB for every page."""

import mimetypes
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders

PREFIX = "/static/"


@cache
def origin() -> str:
    """Where they are served on loopback, from the first call to the end of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class _Files(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = _found(urlsplit(self.path).path)
        if found is None:
            self.send_error(404)
            return
        kind, body = found
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """What is missing shows on the page."""


@cache
def _found(path: str) -> tuple[str, bytes] | None:
    place = finders.find(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
    if not place:
        return None
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return kind, Path(place).read_bytes()
