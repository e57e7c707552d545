"""Opening of URLs: over http and https only, also after redirects, and within a limited time."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from typing import IO, Any
from urllib.parse import urlsplit

SCHEMES = ("http", "https")


class Refused(Exception):
    """A URL, or the place to which it leads, is not opened. The message says why."""


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, and from https only to https."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request for the new place. Raises Refused if it is none of the web."""
        check_url(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise Refused(f"leads from https to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str) -> None:
    """Raise Refused unless this is an http or https URL with a host and, if any, a port."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname and parts.hostname.encode("idna")) and (parts.port is None or parts.port > 0)
        valid = named and not any(character <= " " for character in url)
    except ValueError:  # UnicodeError is one
        raise Refused(f"{url!r} is not a valid URL") from None
    if parts.scheme not in SCHEMES:
        raise Refused(f"{url!r} is not an http or https URL")
    if not valid:
        raise Refused(f"{url!r} is not a valid URL")


def open_url(request: urllib.request.Request, timeout: float, answer_seconds: float) -> Any:
    """The response to a request, which may follow redirects.

    Args:
        request: with an http or https URL.
        timeout: seconds without any data after which the connection fails.
        answer_seconds: until the headers are complete, however slowly they arrive.

    Raises:
        Refused: the URL is malformed, or leads elsewhere than to the web.
        TimeoutError: no complete answer in time.
        OSError: the connection failed, or the server refused (`urllib.error.HTTPError`).
        http.client.HTTPException: the answer is not HTTP.
    """
    opener = urllib.request.build_opener(_WebOnly())
    outcome: list[Any] = []
    late = threading.Event()

    def connect() -> None:
        try:
            outcome.append(opener.open(request, timeout=timeout))
        except BaseException as error:
            outcome.append(error)
        if late.is_set() and not isinstance(outcome[0], BaseException):
            outcome[0].close()

    # In a thread, because a timeout holds for each piece of the headers, which may come byte by byte.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(answer_seconds)
    if not outcome:
        late.set()
        raise TimeoutError(f"no answer within {answer_seconds:g} s")
    if isinstance(outcome[0], ValueError | http.client.InvalidURL):  # of a redirect
        raise Refused(f"the server leads to a malformed URL ({' '.join(str(outcome[0]).split())})")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
