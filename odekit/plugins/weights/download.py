"""One URL into one file, resumed where it was cut.

Our own on the standard library, because pooch 1.9 starts a cut download over, knows one URL per file and no lock, and
huggingface_hub resumes only what lies on its Hub.
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

BLOCK = 1 << 20
TRIES = 4
"""Connections in a row that bring nothing before a URL is given up."""
PAUSE = 1.0
"""Seconds before the second connection; doubled each time."""
TIMEOUT = 30.0
AGAIN = (408, 429, 500, 502, 503, 504)
"""Answers after which it is worth asking again."""

Tell = Callable[[int, "int | None"], None]
"""Is told (bytes here, bytes in all where known)."""


class Unavailable(Exception):
    """A URL does not give the file; the message says why."""


class Cut(Exception):
    """The connection ended early."""


@dataclass
class Download:
    """A download into `part`. What it knows of the server's file lies beside that, so that another process goes on."""

    url: str
    part: Path
    size: int | None = None
    """Of the whole file in bytes, where it is known beforehand."""
    trusted: bool = False
    """A SHA-256 is known, so that a part may go on even where the server cannot say that its file is the same."""
    tell: Tell = lambda here, total: None
    resumed: bool = False
    """Whether any bytes were here before."""

    def run(self) -> None:
        """Fetch the rest of the file.

        Raises:
            Unavailable: the server has not got it, gives another file, or cannot be reached.
            WeightsError: too little space on the disk.
            OSError: the disk cannot be written.
        """
        failures = 0
        while True:
            before = self._here()
            try:
                self._connect(before)
                self._stamp().unlink(missing_ok=True)
                return
            except Cut as error:
                failures = 1 if self._here() > before else failures + 1
                if failures >= TRIES:
                    raise Unavailable(str(error)) from error
                time.sleep(PAUSE * 2 ** (failures - 1))

    def drop(self) -> None:
        """Forget what is here."""
        self.part.unlink(missing_ok=True)
        self._stamp().unlink(missing_ok=True)

    def _here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _stamp(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    def _connect(self, here: int) -> None:
        if here and self.size is not None and here == self.size:
            return
        request = urllib.request.Request(self.url, headers=self._headers(here))
        try:
            with contextlib.closing(urllib.request.urlopen(request, timeout=TIMEOUT)) as answer:
                self._receive(answer, here)
        except urllib.error.HTTPError as error:
            self._refused(error, here)
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or error
            raise Cut(f"the connection failed ({str(reason) or type(reason).__name__})") from error

    def _headers(self, here: int) -> dict[str, str]:
        headers = {"User-Agent": f"odekit/{__version__}", "Accept-Encoding": "identity"}
        stamp: dict[str, Any] = read_json(self._stamp()) or {}
        mark = stamp.get("mark") if stamp.get("url") == self.url else None
        if here and (mark or self.trusted):
            headers["Range"] = f"bytes={here}-"
            if mark:
                headers["If-Range"] = mark
        return headers

    def _refused(self, error: urllib.error.HTTPError, here: int) -> None:
        if error.code == 416 and here:  # more here than there: what is here belongs to another file
            self.drop()
            raise Cut("the server has less than what is here") from error
        if error.code in AGAIN:
            raise Cut(f"{error.code} {error.reason}") from error
        raise Unavailable(f"{error.code} {error.reason}") from error

    def _receive(self, answer: Any, here: int) -> None:
        if answer.headers.get_content_type() == "text/html":
            raise Unavailable("the server sent a web page instead of a file")
        goes_on = answer.status == 206 and _start(answer) == here
        if answer.status == 206 and not goes_on:
            self.drop()
            raise Cut("the server goes on elsewhere than asked")
        length = answer.headers.get("Content-Length")
        total = int(length) + (here if goes_on else 0) if length and length.isdigit() else self.size
        if None not in (total, self.size) and total != self.size:
            raise Unavailable(f"the server's file has {total} bytes instead of {self.size}")
        here, self.resumed = (here if goes_on else 0), self.resumed or goes_on
        if total is not None:
            check_free_space(total - here, self.part.parent)
        if not goes_on:
            mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            write_json(self._stamp(), {"url": self.url, "mark": None if mark.startswith("W/") else mark or None})
        here = self._copy(answer, here, total, "ab" if goes_on else "wb")
        if total is not None and here < total:
            raise Cut(f"the connection was cut after {here} of {total} bytes")
        if total is not None and here > total:
            self.drop()
            raise Unavailable(f"the server sent more than {total} bytes")

    def _copy(self, answer: Any, here: int, total: int | None, mode: str) -> int:
        with self.part.open(mode) as file:
            self.tell(here, total)
            while block := self._read(answer):
                file.write(block)
                here += len(block)
                self.tell(here, total)
            file.flush()
            os.fsync(file.fileno())
        return here

    @staticmethod
    def _read(answer: Any) -> bytes:
        try:
            block: bytes = answer.read(BLOCK)
        except http.client.IncompleteRead as error:
            raise Cut("the connection was cut") from error
        except OSError as error:
            raise Cut(f"the connection was cut ({error.strerror or error})") from error
        return block


def _start(answer: Any) -> int | None:
    """Where the bytes of a partial answer begin: `bytes 100-199/200` begin at 100."""
    unit, _, rest = (answer.headers.get("Content-Range") or "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None
