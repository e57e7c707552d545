"""The server: bound to this machine, without outside requests, with limits."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import odekit
from odekit_web.settings import MAX_FILE_BYTES

LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
"""The browser asks nobody else, whatever a picture or a page says."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Guard:
    """Refuses requests that would make the server ask other machines, or that come by another name; adds headers.

    Args:
        app: the next application.
        hosts: names by which the server may be called; empty: any.
    """

    def __init__(self, app: Any, hosts: tuple[str, ...] = ()) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if self.hosts and host.rsplit(":", 1)[0] not in self.hosts and host not in self.hosts:
            await refuse(add_headers, f"this page answers at {self.hosts[0]} only")  # a name that leads here, of others
        elif is_foreign(str(scope["path"])):
            await refuse(add_headers, "addresses are not read; upload the file")
        else:
            await self.app(scope, receive, add_headers)


def is_foreign(path: str) -> bool:
    """Whether a path asks for something of another server, or for what only developers of pages need."""
    plain = path.lower()
    foreign = "file=http" in plain or "/proxy=" in plain
    return foreign or any(word in plain for word in ("/vibe-", "/run-history", "/monitoring", "/dev/"))


async def refuse(send: Send, reason: str) -> None:
    """Answer 403 with a line."""
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": reason.encode()})


async def no_download(url: str) -> NoReturn:
    """In place of Gradio's download of addresses that a client sends instead of a file."""
    raise ValueError("addresses are not read; upload the file")


def make_app(folder: Path, listen: str = "127.0.0.1") -> Any:
    """The application, with its temporary files in a folder.

    Args:
        folder: for uploads and results; emptied of old ones while it runs.
        listen: the address that it will be bound to.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    tempfile.tempdir = str(folder)
    import fastapi
    import gradio
    from gradio import processing_utils

    from odekit_web.page import CSS, make_page

    processing_utils.async_ssrf_protected_get = no_download
    page = make_page()
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app = gradio.mount_gradio_app(
        app, page, path="/", server_name=listen, allowed_paths=[], max_file_size=MAX_FILE_BYTES,
        show_error=True, ssr_mode=False, pwa=False, enable_monitoring=False, mcp_server=False, run_history=False,
        footer_links=["api"], css=CSS,
    )  # fmt: skip
    page.has_launched = True  # else Gradio takes paths of files from clients without a check
    return Guard(app, LOCAL if listen in LOCAL else ())


def serve(listen: str, port: int) -> None:
    """Serve until Ctrl-C.

    Raises:
        ConfigError: the address or the port cannot be used.
    """
    check_free(listen, port)
    import uvicorn

    with tempfile.TemporaryDirectory(prefix="odekit-web-") as folder:
        app = make_app(Path(folder), listen)
        where = f"http://{'127.0.0.1' if listen in ('0.0.0.0', '::') else listen}:{port}"
        typer_echo(f"odekit is at {where} (Ctrl-C ends it)")
        if listen not in LOCAL:
            typer_echo("everybody who reaches this machine can use the page; it has no password")
        signal.signal(signal.SIGTERM, end)  # uvicorn raises the signal again when it has ended
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.run(app, host=listen, port=port, log_level="warning", timeout_graceful_shutdown=3)


def end(number: int, frame: object) -> NoReturn:
    """End in order, so that the temporary files are removed."""
    raise SystemExit(128 + number)


def typer_echo(line: str) -> None:
    """A line on the console, at once."""
    import typer

    typer.echo(line)


def check_free(listen: str, port: int) -> None:
    """Raise ConfigError unless the server can be bound there."""
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen, port))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise odekit.ConfigError(f"{listen}:{port} cannot be used ({reason}); choose another --port") from error
