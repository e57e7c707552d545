"""The server: bound to this machine, without outside requests, with limits."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import odekit

LOCAL = ("127.0.0.1", "localhost", "::1")
SECONDS_TO_END = 1.5
"""After a signal, what still computes is given up."""


async def no_download(url: str) -> NoReturn:
    """In place of Gradio's download of addresses that a client sends instead of a file."""
    import gradio

    raise gradio.Error("addresses are not read; upload the file", print_exception=False)


def make_app(folder: Path, listen: str = "127.0.0.1") -> tuple[Any, Callable[[], None]]:
    """The application, with its temporary files in a folder.

    Args:
        folder: for uploads and results; emptied of old ones while it runs.
        listen: the address that it will be bound to.

    Returns:
        The application, and what stops everything that it computes.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    tempfile.tempdir = str(folder)
    import fastapi
    import gradio
    from gradio import processing_utils

    from odekit_web.api import KEPT
    from odekit_web.engine import Engine
    from odekit_web.guard import Guard
    from odekit_web.handlers import Page
    from odekit_web.page import CSS, make_page
    from odekit_web.sweeping import sweep_always

    processing_utils.async_ssrf_protected_get = no_download
    handlers = Page(Engine())
    page = make_page(handlers)
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # No `max_file_size`: with it, the browser refuses a whole drop for one large file. `uploads` keeps the limit.
    app = gradio.mount_gradio_app(
        app, page, path="/", server_name=listen, allowed_paths=[], show_error=True, ssr_mode=False, pwa=False,
        enable_monitoring=False, mcp_server=False, run_history=False, footer_links=["api"], css=CSS,
    )  # fmt: skip
    page.has_launched = True  # else Gradio takes paths of files from clients without a check
    sweep_always(folder, KEPT, page.temp_file_sets)
    return Guard(app, LOCAL if listen in LOCAL else ()), handlers.visits.close


def serve(listen: str, port: int) -> None:
    """Serve until Ctrl-C.

    Raises:
        ConfigError: the address or the port cannot be used.
    """
    check_free(listen, port)
    import uvicorn

    class Server(uvicorn.Server):  # type: ignore[misc]  # uvicorn is not installed where types are checked
        """Ends soon after a signal, also while a picture is restored."""

        def handle_exit(self, number: int, frame: Any) -> None:
            """A signal has come; what it breaks off is no fault to report."""
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            end_soon(folder, number)
            stop()
            super().handle_exit(number, frame)

    signal.signal(signal.SIGTERM, end)  # uvicorn raises the signal again when it has ended
    folder = Path(tempfile.mkdtemp(prefix="odekit-web-"))
    try:
        app, stop = make_app(folder, listen)
        where = f"http://{'127.0.0.1' if listen in ('0.0.0.0', '::') else listen}:{port}"
        typer_echo(f"odekit is at {where} (Ctrl-C ends it)")
        if listen not in LOCAL:
            typer_echo("everybody who reaches this machine can use the page; it has no password")
        config = uvicorn.Config(app, host=listen, port=port, log_level="warning", timeout_graceful_shutdown=0)
        with contextlib.suppress(KeyboardInterrupt):
            Server(config).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(number: int, frame: object) -> NoReturn:
    """End in order, so that the temporary files are removed."""
    raise SystemExit(128 + number)


def end_soon(folder: Path, number: int) -> None:
    """End the process after `SECONDS_TO_END`, should a thread compute until then; Python would wait for it."""

    def give_up() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(128 + number)

    timer = threading.Timer(SECONDS_TO_END, give_up)
    timer.daemon = True
    timer.start()


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
