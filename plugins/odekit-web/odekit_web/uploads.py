"""Limits on what a request sends, while it is received.

A file that is too large is cut one byte above the limit, and `read_upload` then refuses it by name. So one large file
does not refuse the others of the same drop, and no file fills the memory or the disk.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from odekit_web.settings import MAX_FILE_BYTES

HIDDEN_NAME = re.compile(rb'(filename="(?:[^"]*[/\\])?)(?=\.)')
"""Gradio hands out no files whose name begins with a dot."""
MAX_OTHER_BYTES = 8 * 2**20
"""Of a request without files, which Gradio reads into memory."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class FileCutter:
    """Rewrites a multipart body: no part is larger than `limit` + 1 bytes, and no name begins with a dot.

    Args:
        boundary: of the parts.
        limit: bytes of a part.
    """

    def __init__(self, boundary: bytes, limit: int = MAX_FILE_BYTES) -> None:
        self.boundary = boundary
        self.limit = limit
        self.size = 0
        self.value = bytearray()  # of a header; it comes in pieces where the request does
        self.out = bytearray()
        self.ended = False
        calls: Any = {
            "on_part_begin": self._begin, "on_header_field": self._copy, "on_header_value": self._value,
            "on_header_end": self._header_end, "on_headers_finished": self._line, "on_part_data": self._data,
            "on_part_end": self._line, "on_end": self._end,
        }  # fmt: skip
        self.parser = MultipartParser(boundary, calls)

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the new body.

        Raises:
            MultipartParseError: the body has no such parts.
        """
        self.parser.write(data)
        done = bytes(self.out)
        self.out.clear()
        return done

    def _begin(self) -> None:
        self.size = 0
        self.out += b"--" + self.boundary + b"\r\n"

    def _copy(self, data: bytes, start: int, end: int) -> None:
        self.out += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def _header_end(self) -> None:
        self.out += b": " + HIDDEN_NAME.sub(rb"\1_", bytes(self.value)) + b"\r\n"
        self.value.clear()

    def _line(self) -> None:
        self.out += b"\r\n"

    def _data(self, data: bytes, start: int, end: int) -> None:
        room = self.limit + 1 - self.size
        self.out += data[start : min(end, start + room)]
        self.size += min(end - start, room)

    def _end(self) -> None:
        self.ended = True
        self.out += b"--" + self.boundary + b"--\r\n"


def limited(scope: Message, receive: Receive) -> tuple[Message, Receive]:
    """A request whose files and other content keep the limits."""
    headers = dict(scope["headers"])
    kind, options = parse_options_header(headers.get(b"content-type", b""))
    if kind == b"multipart/form-data" and options.get(b"boundary"):
        kept = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        return {**scope, "headers": kept}, cut_files(receive, FileCutter(options[b"boundary"]))
    return scope, bounded(receive)


def cut_files(receive: Receive, cutter: FileCutter) -> Receive:
    """The messages of a request with files, cut."""

    async def next_message() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect" and not cutter.ended:
            raise MultiPartException("the upload was not finished")  # Gradio then removes its files
        if message["type"] != "http.request":
            return message
        try:
            body = cutter.feed(message.get("body", b""))
        except MultipartParseError as error:
            raise MultiPartException(f"the upload cannot be read ({error})") from error
        if not message.get("more_body") and not cutter.ended:
            raise MultiPartException("the upload is incomplete")
        return {**message, "body": body}

    return next_message


def bounded(receive: Receive) -> Receive:
    """The messages of a request without files."""
    size = 0

    async def next_message() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_OTHER_BYTES:
            raise HTTPException(413, "the request is too large; upload files")
        return message

    return next_message
