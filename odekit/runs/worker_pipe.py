"""Messages between a run and its worker processes: pickles over a pipe, with large arrays in shared memory.

Only one end sends at a time: the other waits for the answer. The run waits for a limited time only, and not for the
process to die: one that is blocked in the kernel, by a dead network disk, does not die when it is killed.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import pickle
import select
import struct
import time
from collections.abc import Callable
from typing import Any

SHARED_BYTES = 1 << 22
"""Bytes of shared memory per direction: one picture of 512 px as float32, or some tens of small ones. Larger arrays are
sent through the pipe; for these, decoding and encoding take much longer than the transfer."""
MIN_SHARED_ARRAY_BYTES = 1 << 10
"""Smallest array in bytes that is placed in shared memory."""
WAKE_SECONDS = 0.5
"""How often a waiting end looks whether it should still wait."""
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
        reader: descriptor of the pipe to read from.
        writer: descriptor of the pipe to write to.
        file: of the shared memory; None: all data are sent through the pipe.
        child: this end is the worker process.
        stopped: whether to give up waiting.
    """

    def __init__(
        self, reader: int, writer: int, file: int | None, child: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.reader = reader
        self.writer = writer
        self.child = child
        self.stopped = stopped
        if not child:
            os.set_blocking(writer, False)  # the process may have stopped reading
        self.memory = None if file is None else memoryview(mmap.mmap(file, 2 * SHARED_BYTES))

    def send(self, message: Any, deadline: float = math.inf) -> None:
        """Write one message, before `deadline` (of `time.monotonic`).

        Raises:
            OSError: the other end is closed; TimeoutError: it took too long.
            Exception: the errors of pickle.
        """
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
        self._write(_HEADER.pack(len(data), len(bounds) // 2) + struct.pack(f"<{len(bounds)}Q", *bounds), deadline)
        self._write(data, deadline)

    def receive(self, deadline: float = math.inf) -> Any:
        """Read one message, before `deadline` (of `time.monotonic`).

        Raises EOFError if the other end is closed, TimeoutError if it took too long.

        In the worker, arrays are views of the shared memory, valid until it answers; in the run, they are copies.
        """
        size, count = _HEADER.unpack(self._read(_HEADER.size, deadline))
        bounds = struct.unpack(f"<{2 * count}Q", self._read(16 * count, deadline)) if count else ()
        buffers: list[memoryview | bytearray] = []
        for start, end in zip(bounds[::2], bounds[1::2], strict=True):
            assert self.memory is not None
            view = self.memory[start:end]
            buffers.append(view if self.child else bytearray(view))
        return pickle.loads(self._read(size, deadline), buffers=buffers)

    def _read(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        missing = memoryview(data)
        while missing:
            self._wait(self.reader, select.POLLIN, deadline)
            count = os.readv(self.reader, [missing])
            if count == 0:
                raise EOFError
            missing = missing[count:]
        return data

    def _write(self, data: bytes, deadline: float) -> None:
        missing = memoryview(data)
        while missing:
            self._wait(self.writer, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                missing = missing[os.write(self.writer, missing) :]

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Wait until a pipe can be read or written. Raises TimeoutError at the deadline, or if waiting was given up."""
        if self.child:
            return  # blocking; the end of the run closes the pipe
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(1000 * min(WAKE_SECONDS, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or self.stopped():
                raise TimeoutError
