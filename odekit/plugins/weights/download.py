"""Download one URL to one file, with resumption.

This uses the standard library only, because pooch 1.9 restarts an interrupted download and has no lock and only one
URL per file, and huggingface_hub resumes only files of its Hub.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odekit.core.files import read_json, write_json
from odekit.core.version import __version__
from odekit.plugins.weights.store import check_free_space
from odekit.plugins.weights.web import Refused, check_url, open_url

BLOCK = 1 << 20
"""Bytes read at a time."""
MAX_FAILURES = 4
"""Number of consecutive connections without new data after which a URL is given up."""
RETRY_DELAY = 1.0
"""Seconds before the second connection; doubled for each further one."""
TIMEOUT = 30.0
"""Seconds without an answer after which a connection fails."""
ANSWER_SECONDS = 60.0
"""Longest time until the headers of an answer are complete."""
MIN_RATE = 10_000.0
"""Least mean rate of a download in bytes per second; with `SLACK_SECONDS` and the size it limits the whole time."""
SLACK_SECONDS = 120.0
"""Time that a download may take in any case."""
MAX_BYTES = 64 << 30
"""Largest file of unknown size."""
RETRY_STATUS = (408, 429, 500, 502, 503, 504)
"""HTTP status codes after which the request is repeated."""

ProgressCallback = Callable[[int, "int | None"], None]
"""Progress callback with the number of bytes on disk and the total number, None if unknown."""


class Unavailable(Exception):
    """A URL does not provide the file. The message says why."""


class ConnectionInterrupted(Exception):
    """The connection was interrupted."""


@dataclass
class Download:
    """A download into the partial file `part`. A file beside it stores what another process needs to resume it."""

    url: str
    part: Path
    size: int | None = None
    """Size of the complete file in bytes, if known in advance."""
    trusted: bool = False
    """The SHA-256 is known: a download is resumed even if the server cannot confirm that its file is unchanged."""
    on_progress: ProgressCallback = lambda received, total: None
    resumed: bool = False
    """Whether part of the file was on disk before."""

    def run(self) -> None:
        """Download the rest of the file.

        Raises:
            Unavailable: the server does not have the file, sends another file, or cannot be reached.
            WeightsError: not enough free disk space.
            OSError: the disk cannot be written.
        """
        failures = 0
        self._start(self._received())
        while True:
            before = self._received()
            try:
                self._connect(before)
                self._state_file().unlink(missing_ok=True)
                return
            except ConnectionInterrupted as error:
                failures = 1 if self._received() > before else failures + 1
                if failures >= MAX_FAILURES:
                    raise Unavailable(str(error)) from error
                time.sleep(RETRY_DELAY * 2 ** (failures - 1))

    def _start(self, received: int) -> None:
        """Begin to measure the rate."""
        self.began, self.received_before = time.monotonic(), received

    def _check_rate(self, received: int) -> None:
        """Raise Unavailable if the download is so slow that it would never end; what has arrived is kept."""
        seconds = time.monotonic() - self.began - SLACK_SECONDS
        if seconds > 0 and received - self.received_before < seconds * MIN_RATE:
            raise Unavailable(f"the server sends less than {MIN_RATE / 1000:g} kB/s")

    def drop(self) -> None:
        """Delete the partial file."""
        self.part.unlink(missing_ok=True)
        self._state_file().unlink(missing_ok=True)

    def _received(self) -> int:
        """Bytes of the partial file."""
        return self.part.stat().st_size if self.part.exists() else 0

    def _state_file(self) -> Path:
        """The file with the URL and the validator (ETag or Last-Modified) of the partial file."""
        return self.part.with_name(self.part.name + ".json")

    def _connect(self, received: int) -> None:
        if received and self.size is not None and received == self.size:
            return
        self._check_rate(received)
        try:
            check_url(self.url)
            request = urllib.request.Request(self.url, headers=self._headers(received))
            with contextlib.closing(open_url(request, TIMEOUT, ANSWER_SECONDS)) as response:
                self._receive(response, received)
        except Refused as error:
            raise Unavailable(str(error)) from error
        except urllib.error.HTTPError as error:
            self._handle_http_error(error, received)
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or error
            raise ConnectionInterrupted(f"the connection failed ({one_line(reason)})") from error

    def _headers(self, received: int) -> dict[str, str]:
        headers = {"User-Agent": f"odekit/{__version__}", "Accept-Encoding": "identity"}
        state = read_json(self._state_file())
        mark = state.get("mark") if isinstance(state, dict) and state.get("url") == self.url else None
        validator = mark if isinstance(mark, str) and mark.isprintable() else None  # the file may be damaged
        if received and (validator or self.trusted):
            headers["Range"] = f"bytes={received}-"
            if validator:
                headers["If-Range"] = validator
        return headers

    def _handle_http_error(self, error: urllib.error.HTTPError, received: int) -> None:
        if error.code == 416 and received:  # the partial file is longer than the server's file, so it is another one
            self.drop()
            raise ConnectionInterrupted("the server's file is shorter than the partial file") from error
        if error.code in RETRY_STATUS:
            raise ConnectionInterrupted(f"{error.code} {one_line(error.reason)}") from error
        raise Unavailable(f"{error.code} {one_line(error.reason)}") from error

    def _receive(self, response: Any, received: int) -> None:
        if response.headers.get_content_type() == "text/html":
            raise Unavailable("the server sent a web page instead of a file")
        resumes = response.status == 206 and _range_start(response) == received
        if response.status == 206 and not resumes:
            self.drop()
            raise ConnectionInterrupted("the server sent another range than requested")
        length = response.headers.get("Content-Length")
        stated = _number(length)
        total = self.size if stated is None else stated + (received if resumes else 0)
        if None not in (total, self.size) and total != self.size:
            raise Unavailable(f"the server's file has {total} bytes instead of {self.size}")
        received, self.resumed = (received if resumes else 0), self.resumed or resumes
        if total is not None:
            check_free_space(total - received, self.part.parent)
        if not resumes:
            validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            is_weak = validator.startswith("W/")
            write_json(self._state_file(), {"url": self.url, "mark": None if is_weak else validator or None})
        received = self._copy(response, received, total, "ab" if resumes else "wb")
        if total is not None and received < total:
            raise ConnectionInterrupted(f"the connection was interrupted after {received} of {total} bytes")

    def _copy(self, response: Any, received: int, total: int | None, mode: str) -> int:
        """Append the response to the partial file; returns the bytes on disk.

        Raises Unavailable as soon as it is larger than `total` (or `MAX_BYTES`), or too slow.
        """
        limit = MAX_BYTES if total is None else total
        with self.part.open(mode) as file:
            self.on_progress(received, total)
            while block := self._read(response):
                received += len(block)
                if received > limit:
                    break
                file.write(block)
                self.on_progress(received, total)
                self._check_rate(received)
            file.flush()
            os.fsync(file.fileno())
        if received > limit:
            self.drop()
            raise Unavailable(f"the server sent more than {limit} bytes")
        return received

    @staticmethod
    def _read(response: Any) -> bytes:
        try:
            block: bytes = response.read1(BLOCK)  # not `read`, which waits for a whole block, however slowly it comes
        except http.client.IncompleteRead as error:
            raise ConnectionInterrupted("the connection was interrupted") from error
        except OSError as error:
            raise ConnectionInterrupted(f"the connection was interrupted ({error.strerror or error})") from error
        return block


def _range_start(response: Any) -> int | None:
    """First byte of a partial response: 100 for `bytes 100-199/200`; None if it is not stated."""
    unit, _, byte_range = (response.headers.get("Content-Range") or "").partition(" ")
    return _number(byte_range.partition("-")[0]) if unit == "bytes" else None


def _number(text: str | None) -> int | None:
    """A number of bytes in a header; None if it is missing or malformed."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def one_line(error: object) -> str:
    """The text of an error in one line, or its type."""
    return " ".join(str(error).split())[:200] or type(error).__name__
