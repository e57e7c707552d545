"""Processes that decode and encode beside the network.

They keep the processor's other cores busy, and a damaged file that crashes or hangs a decoder takes one of them down
and not the run. Each is `python -m odekit.workers`, spoken to over its own pipes, so that the program that uses odekit
is not imported again; it ends when its pipe does, so none outlives the run.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, TypeVar

from odekit.errors import InputError

T = TypeVar("T")
SECONDS = 300.0
"""Longest that one file may take: a picture of 100 megapixels takes seconds."""
_SIZE = struct.Struct("<Q")


class WorkerDied(Exception):
    """A worker ended in the middle of its work, or was ended because it took too long."""


class Workers:
    """Calls functions in `count` processes, in order of submission; in this thread, at once, where `count` is 0."""

    def __init__(self, count: int, seconds: float = SECONDS) -> None:
        self.count = count
        self.seconds = seconds
        self.idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self.all: list[_Worker] = [_Worker() for _ in range(count)]
        self.threads = ThreadPoolExecutor(count) if count else None
        for worker in self.all:
            self.idle.put(worker)

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """The future result of `function(*args)`; a function of a module, and arguments that can be pickled."""
        if self.threads is not None:
            return self.threads.submit(self._call, function, args)
        done: Future[T] = Future()
        try:
            done.set_result(function(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _call(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        """One call; where the worker died, once more in a fresh one, because somebody else may have killed it."""
        worker = self.idle.get()
        try:
            for again in (True, False):
                try:
                    result: T = worker.call(function, args, self.seconds)
                    return result
                except WorkerDied as error:
                    if not again:
                        raise InputError(f"{args[0]}: {error}; the file may be damaged") from None
            raise AssertionError("unreachable")
        finally:
            self.idle.put(worker)

    def close(self) -> None:
        """End all processes; what is under way is lost."""
        for worker in self.all:
            worker.kill()
        if self.threads is not None:
            self.threads.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """One process, started when first needed and again after its death."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
        """The result of the function over there, or what it raised. Raises WorkerDied."""
        if self.process is None or self.process.poll() is not None:
            self.process = _start()
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        clock = threading.Timer(seconds, end)
        clock.daemon = True
        clock.start()
        try:
            send(process.stdin, (function, args))
            good, result = receive(process.stdout)
        except (OSError, EOFError, ValueError):
            self.kill()
            reason = f"takes longer than {seconds:g} s" if late.is_set() else "the process that worked on it died"
            raise WorkerDied(reason) from None
        finally:
            clock.cancel()
        if not good:
            raise result
        return result

    def kill(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self.process = None


def _start() -> subprocess.Popen[bytes]:
    # Ctrl-C goes to the whole group of the terminal; only the run itself decides what it means.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-m", "odekit.workers"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip


def send(pipe: IO[bytes], message: Any) -> None:
    """Write one message: its length, then its pickle. Both ends are this program."""
    data = pickle.dumps(message, protocol=5)
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read one message. Raises EOFError where the other end is gone."""
    head = pipe.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    (size,) = _SIZE.unpack(head)
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def serve() -> None:
    """Do what is asked until the pipe ends."""
    inward, outward = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up among the messages
    while True:
        try:
            function, args = receive(inward)
        except EOFError:
            return
        try:
            answer = (True, function(*args))
        except Exception as error:
            answer = (False, error)
        try:
            send(outward, answer)
        except (pickle.PicklingError, TypeError, AttributeError):
            send(outward, (False, InputError(f"{args[0]}: {type(answer[1]).__name__}: {answer[1]}")))


if __name__ == "__main__":
    serve()
