"""Processes that decode and encode beside the network.

They keep the processor's other cores busy, and a damaged file that crashes or hangs a decoder takes one of them down
and not the run. Each is `python -m odekit.runs.workers`, spoken to over its own pipes, so that the program that uses odekit
is not imported again; it ends when its pipe does, so none outlives the run.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from odekit.errors import InputError
from odekit.runs.worker_pipe import Channel, shared_memory

T = TypeVar("T")
Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module and its arguments."""
Answer = tuple[bool, Any]
"""(True, what it returned) or (False, what it raised)."""

SECONDS = 300.0
"""Longest that one file may take: a picture of 100 megapixels takes seconds."""
TOGETHER = 0.02
"""Seconds of work that a process is given at once: small files cost little more than the work on them, large ones
wait for nobody."""


class WorkerDied(Exception):
    """A worker ended in the middle of its work, or was ended because it took too long."""


class Workers:
    """Calls functions in `count` processes, in order of submission; in this thread, at once, where `count` is 0."""

    def __init__(self, count: int, seconds: float = SECONDS) -> None:
        self.count = count
        self.seconds = seconds
        self.waiting: queue.SimpleQueue[tuple[Call, Future[Any]] | None] = queue.SimpleQueue()
        self.closed = threading.Event()
        self.all: list[_Worker] = [_Worker(self.closed) for _ in range(count)]
        self.threads = [threading.Thread(target=self._feed, args=(worker,), daemon=True) for worker in self.all]
        if count:
            self.threads.append(threading.Thread(target=self._watch, daemon=True))
        for thread in self.threads:
            thread.start()

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """The future result of `function(*args)`; a function of a module, and arguments that can be pickled."""
        done: Future[T] = Future()
        if self.count:
            self.waiting.put(((function, args), done))
        else:
            _settle(done, _attempt((function, args)))
        return done

    def _feed(self, worker: _Worker) -> None:
        """Give one process its work, and hand over what it answers, until the end."""
        pace = self.seconds  # of a call, lately
        while group := self._group(TOGETHER / pace):
            began = time.perf_counter()
            answers = self._answers(worker, [call for call, _ in group])
            for (_, done), answer in zip(group, answers, strict=True):
                _settle(done, answer)
            pace = max(1e-6, (time.perf_counter() - began) / len(group))
        worker.kill()

    def _group(self, most: float) -> list[tuple[Call, Future[Any]]]:
        """What waits, at least one and at most a fair share of it; nothing at the end."""
        first = self.waiting.get()
        if first is None:
            return []
        group = [first]
        with contextlib.suppress(queue.Empty):
            while len(group) < min(most, 1 + self.waiting.qsize() / self.count):
                more = self.waiting.get_nowait()
                if more is None:
                    self.waiting.put(None)
                    break
                group.append(more)
        return group

    def _answers(self, worker: _Worker, calls: Sequence[Call]) -> list[Answer]:
        try:
            return worker.call(calls, self.seconds)
        except WorkerDied as error:
            if len(calls) == 1:
                return [self._again(worker, calls[0], 1, error)]
            return [self._again(worker, call, 2, error) for call in calls]
        except Exception as error:  # what cannot be pickled
            return [(False, error)] * len(calls)

    def _again(self, worker: _Worker, call: Call, times: int, error: Exception) -> Answer:
        """A call alone in a fresh process, because another one, or somebody else, may have killed the last."""
        for _ in range(times):
            try:
                return worker.call([call], self.seconds)[0]
            except WorkerDied as again:
                error = again
        return False, InputError(f"{call[1][0]}: {error}; the file may be damaged")

    def _watch(self) -> None:
        """End processes that take too long."""
        while not self.closed.wait(min(1.0, self.seconds / 10)):
            for worker in self.all:
                worker.check()

    def close(self) -> None:
        """End all processes; what is under way is lost."""
        self.closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                left = self.waiting.get_nowait()
                if left is not None:
                    left[1].cancel()
        for worker in self.all:
            self.waiting.put(None)
            worker.kill()
        for thread in self.threads:
            thread.join()


class _Worker:
    """One process, started when first needed and again after its death."""

    def __init__(self, closed: threading.Event) -> None:
        self.closed = closed
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: Channel
        self.until = math.inf
        self.late = False

    def call(self, calls: Sequence[Call], seconds: float) -> list[Answer]:
        """What became of each call over there. Raises WorkerDied."""
        if self.closed.is_set():
            raise WorkerDied("the run ended")
        if self.process is None or self.process.poll() is not None:
            self.process, self.channel = _start()
        self.late, self.until = False, time.monotonic() + seconds
        try:
            self.channel.send(calls)
            answers: list[Answer] = self.channel.receive()
            return answers
        except (OSError, EOFError, ValueError):
            self.kill()
            reason = f"takes longer than {seconds:g} s" if self.late else "the process that worked on it died"
            raise WorkerDied(reason) from None
        finally:
            self.until = math.inf

    def check(self) -> None:
        """End the process if its time is over; the thread that waits for it sees that."""
        process = self.process
        if process is not None and time.monotonic() > self.until:
            self.late = True
            process.kill()

    def kill(self) -> None:
        """End the process."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _start() -> tuple[subprocess.Popen[bytes], Channel]:
    # Ctrl-C goes to the whole group of the terminal; only the run itself decides what it means.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    memory = shared_memory()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "odekit.runs.workers", *([] if memory is None else [str(memory)])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
            pass_fds=() if memory is None else (memory,),
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        return process, Channel(process.stdout, process.stdin, memory)
    finally:
        if memory is not None:
            os.close(memory)


def _settle(done: Future[Any], answer: Answer) -> None:
    good, result = answer
    if good:
        done.set_result(result)
    else:
        done.set_exception(result)


def _attempt(call: Call) -> Answer:
    function, args = call
    try:
        return True, function(*args)
    except Exception as error:
        return False, error


def serve() -> None:
    """Do what is asked until the pipe ends."""
    memory = int(sys.argv[1]) if len(sys.argv) > 1 else None
    channel = Channel(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"), memory, child=True)
    if memory is not None:
        os.close(memory)
    os.dup2(2, 1)  # what a library prints must not end up among the messages
    run = os.getppid()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            answers = []
            for call in channel.receive():
                if os.getppid() != run:  # it was killed: what is not begun is left to the next one
                    return
                answers.append(_sendable(call, _attempt(call)))
            channel.send(answers)


def _sendable(call: Call, answer: Answer) -> Answer:
    """An error as it is, or in words where its class does not survive the pipe."""
    good, result = answer
    if not good:
        try:
            pickle.loads(pickle.dumps(result))
        except Exception:
            return False, InputError(f"{call[1][0]}: {type(result).__name__}: {result}")
    return answer


if __name__ == "__main__":
    serve()
