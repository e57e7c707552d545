"""`odekit web`: start the page."""

from __future__ import annotations

from typing import Annotated

import typer


def web(
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 7860,
    listen: Annotated[
        str, typer.Option(help="Address to listen on. Others than 127.0.0.1 let everybody in the network use it.")
    ] = "127.0.0.1",
) -> None:
    """Restore photographs in a page of the browser, on this machine.

    Example: odekit web --port 8080
    """
    from odekit_web.server import serve

    serve(listen, port)
