"""Messages between a run and its worker processes: pickles over a pipe, with large arrays in shared memory.

Only one end sends at a time: the other waits for the answer.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import struct
from typing import IO, Any

SHARED_BYTES = 1 << 22
"""Bytes of shared memory per direction: one picture of 512 px as float32, or some tens of small ones. Larger arrays are
sent through the pipe; for these, decoding and encoding take much longer than the transfer."""
MIN_SHARED_ARRAY_BYTES = 1 << 10
"""Smallest array in bytes that is placed in shared memory."""
_HEADER = struct.Struct("<QI")
"""Size of the pickle in bytes, and number of arrays in shared memory."""


def shared_memory() -> int | None:
    """An inheritable memory file for both directions; None on systems without memfd (Linux has it)."""
    with contextlib.suppress(AttributeError, OSError):
        file = os.memfd_create("odekit", os.MFD_CLOEXEC)
        os.ftruncate(file, 2 * SHARED_BYTES)
        return file
    return None


class Channel:
    """One end of the connection.

    Args:
        reader: pipe to read from.
        writer: pipe to write to.
        file: of the shared memory; None: all data are sent through the pipe.
        child: this end is the worker process.
    """

    def __init__(self, reader: IO[bytes], writer: IO[bytes], file: int | None, child: bool = False) -> None:
        self.reader = reader
        self.writer = writer
        self.child = child
        self.memory = None if file is None else memoryview(mmap.mmap(file, 2 * SHARED_BYTES))

    def send(self, message: Any) -> None:
        """Write one message. Raises OSError if the other end is closed, and the errors of pickle."""
        memory = self.memory
        bounds: list[int] = []
        offset = base = SHARED_BYTES if self.child else 0

        def store(buffer: pickle.PickleBuffer) -> bool:
            """Copy a buffer into shared memory if it fits; True: keep it in the pickle."""
            nonlocal offset
            raw = buffer.raw()
            end = offset + raw.nbytes
            if memory is None or raw.nbytes < MIN_SHARED_ARRAY_BYTES or end > base + SHARED_BYTES:
                return True
            memory[offset:end] = raw
            bounds.extend((offset, end))
            offset = -(-end // 64) * 64  # alignment of arrays
            return False

        data = pickle.dumps(message, protocol=5, buffer_callback=store)
        self.writer.write(_HEADER.pack(len(data), len(bounds) // 2) + struct.pack(f"<{len(bounds)}Q", *bounds))
        self.writer.write(data)
        self.writer.flush()

    def receive(self) -> Any:
        """Read one message. Raises EOFError if the other end is closed.

        In the worker, arrays are views of the shared memory, valid until it answers; in the run, they are copies.
        """
        size, count = _HEADER.unpack(self._read(_HEADER.size))
        bounds = struct.unpack(f"<{2 * count}Q", self._read(16 * count)) if count else ()
        buffers: list[memoryview | bytearray] = []
        for start, end in zip(bounds[::2], bounds[1::2], strict=True):
            assert self.memory is not None
            view = self.memory[start:end]
            buffers.append(view if self.child else bytearray(view))
        return pickle.loads(self._read(size), buffers=buffers)

    def _read(self, size: int) -> bytes:
        data = self.reader.read(size)
        if len(data) < size:
            raise EOFError
        return data
