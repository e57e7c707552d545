"""Messages between the processes of one run: pickles over a pipe, with the pixels in memory that both see.

Both ends are this program, and they take turns: while one works on a message, the other waits for the answer.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import struct
from typing import IO, Any

ROOM = 1 << 22
"""Bytes in each direction: a picture of 512 px as float32, or some tens of small ones. What is larger goes through
the pipe, where the work on it costs far more than the way."""
SMALL = 1 << 10
"""Bytes below which a place of its own does not pay."""
_HEAD = struct.Struct("<QI")
"""Bytes of the pickle, and how many buffers lie in the memory."""


def shared_memory() -> int | None:
    """A file in memory for both directions, to be inherited by a child; None where the system has none (Linux has)."""
    with contextlib.suppress(AttributeError, OSError):
        file = os.memfd_create("odekit", os.MFD_CLOEXEC)
        os.ftruncate(file, 2 * ROOM)
        return file
    return None


class Channel:
    """One end. `file` is the memory's, or None: then everything goes through the pipe."""

    def __init__(self, inward: IO[bytes], outward: IO[bytes], file: int | None, child: bool = False) -> None:
        self.inward = inward
        self.outward = outward
        self.child = child
        self.memory = None if file is None else memoryview(mmap.mmap(file, 2 * ROOM))

    def send(self, message: Any) -> None:
        """Write one message. Raises OSError where the other end is gone, and what pickling raises."""
        memory = self.memory
        places: list[int] = []
        at = first = ROOM if self.child else 0

        def keep(buffer: pickle.PickleBuffer) -> bool:
            """Into the memory, where it fits; true: into the pickle."""
            nonlocal at
            raw = buffer.raw()
            end = at + raw.nbytes
            if memory is None or raw.nbytes < SMALL or end > first + ROOM:
                return True
            memory[at:end] = raw
            places.extend((at, end))
            at = -(-end // 64) * 64  # arrays are aligned
            return False

        data = pickle.dumps(message, protocol=5, buffer_callback=keep)
        self.outward.write(_HEAD.pack(len(data), len(places) // 2) + struct.pack(f"<{len(places)}Q", *places))
        self.outward.write(data)
        self.outward.flush()

    def receive(self) -> Any:
        """Read one message. Raises EOFError where the other end is gone.

        Arrays of the child lie in the shared memory, and are good until it answers; the run's are its own.
        """
        size, count = _HEAD.unpack(self._read(_HEAD.size))
        places = struct.unpack(f"<{2 * count}Q", self._read(16 * count)) if count else ()
        buffers: list[memoryview | bytearray] = []
        for start, end in zip(places[::2], places[1::2], strict=True):
            assert self.memory is not None
            view = self.memory[start:end]
            buffers.append(view if self.child else bytearray(view))
        return pickle.loads(self._read(size), buffers=buffers)

    def _read(self, size: int) -> bytes:
        data = self.inward.read(size)
        if len(data) < size:
            raise EOFError
        return data
