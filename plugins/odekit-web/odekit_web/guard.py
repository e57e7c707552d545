"""What requests are refused: those of other sites, those by another name, and those that would ask other machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from odekit_web.uploads import limited

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
"""The browser asks nobody else, whatever a picture or a page says."""
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
CLOSED = ("/vibe-", "/run-history", "/monitoring", "/dev/")
"""Parts of the addresses of Gradio that only developers of pages need."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Guard:
    """Refuses requests that no page of this server and no program of its user sends; limits the others; adds headers.

    Args:
        app: the next application.
        hosts: names by which the server may be called; empty: any.
    """

    def __init__(self, app: Any, hosts: tuple[str, ...] = ()) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    (b"cross-origin-resource-policy", b"same-origin"),
                ]
            await send(message)

        if reason := self.reason(scope):
            await refuse(scope, add_headers, reason)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            inner, receive = limited(scope, receive)
            await self.app(inner, receive, add_headers)

    def reason(self, scope: Message) -> str:
        """Why a request is refused; '' if it is not."""
        headers = [(name, value.decode("latin-1").strip().lower()) for name, value in scope["headers"]]
        host = next((value for name, value in headers if name == b"host"), "")
        if self.hosts and host_name(host) not in self.hosts:
            return f"this page answers at {self.hosts[0]} only"  # a name of others that leads here
        if any(not same_origin(value, host) for name, value in headers if name == b"origin"):
            return "pages of other sites cannot use this one"
        path = str(scope["path"]).lower()
        if asks_others(path):
            return "addresses are not read; upload the file"
        if any(word in path for word in CLOSED):
            return "this page has no such address"
        return ""


def host_name(host: str) -> str:
    """The name of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the host that was asked. Browsers send it; other programs need not."""
    try:
        site = urlsplit(origin)
        asked = urlsplit(f"//{host}")
        default = PORTS.get(site.scheme)
        return bool(site.hostname) and (site.hostname, site.port or default) == (asked.hostname, asked.port or default)
    except ValueError:
        return False


def asks_others(path: str) -> bool:
    """Whether a path asks for something of another server."""
    return "file=http" in path or "/proxy=" in path


async def refuse(scope: Message, send: Send, reason: str) -> None:
    """Answer 403 with a line."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": reason.encode()})
