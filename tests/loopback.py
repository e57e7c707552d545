"""A web server on this machine that cuts, lies and fails on request, for the weight store's tests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """One file as the server gives it."""

    content: bytes
    cuts: list[int] = field(default_factory=list)
    """Bytes to send in the first answers before the connection is closed."""
    status: list[int] = field(default_factory=list)
    """Codes of the first answers, instead of content."""
    ranges: bool = True
    etag: str | None = '"one"'
    kind: str = "application/octet-stream"
    length: bool = True
    wait: Callable[[], object] | None = None


class Server:
    """Pages by name, and what was asked for: (name, Range header)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []

    def put(self, name: str, content: bytes, **how) -> str:
        """Serve a file; gives its URL."""
        self.pages[name] = Page(content, **how)
        return f"{self.address}/{name}"


@contextmanager
def serve() -> Iterator[Server]:
    """A running server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            served.asked.append((name, wanted))
            page = served.pages.get(name)
            if page is None or page.status:
                self.refuse(404 if page is None else page.status.pop(0))
                return
            if page.wait is not None:
                page.wait()
            first = 0
            fresh = self.headers.get("If-Range") in (None, page.etag)
            if wanted and page.ranges and fresh:
                first = int(wanted.removeprefix("bytes=").rstrip("-"))
                if first >= len(page.content):
                    self.refuse(416)
                    return
            body = page.content[first:]
            self.send_response(206 if wanted and page.ranges and fresh else 200)
            if wanted and page.ranges and fresh:
                self.send_header("Content-Range", f"bytes {first}-{len(page.content) - 1}/{len(page.content)}")
            if page.length:
                self.send_header("Content-Length", str(len(body)))
            if page.etag:
                self.send_header("ETag", page.etag)
            self.send_header("Content-Type", page.kind)
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):  # who asked may be gone
                self.wfile.write(body[: page.cuts.pop(0)] if page.cuts else body)
            self.close_connection = True

        def refuse(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served = Server(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def sha256(content: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
