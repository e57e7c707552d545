"""How much of a run's time the network works: `odedit-fast` over files, reading and writing beside it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import Figure
from odekit.chains.chain import Chain
from odekit.chains.session import Session
from odekit.core.image import Image
from odekit.core.interfaces import Prior, State
from odekit.core.schedule import NoiseSchedule
from odekit.evaluation.experiments.faces import TEST_FACES, face_set
from odekit.images.formats import encode
from odekit.images.resize import resized
from odekit.parts.stages.restore import RestoreStage
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions

SIDE = 512
"""Of the files: aligned faces as other programs write them."""
SLOTS = 8


class Clock:
    """When network calls begin and end: on the wall, and by the processor time of the thread that makes them."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[float, float], tuple[float, float]]] = []

    @staticmethod
    def now() -> tuple[float, float]:
        """Seconds on the wall, and of this thread's processor time."""
        return time.perf_counter(), time.thread_time()

    def share(self, warm_after: int, which: int = 0) -> float:
        """Share of the time inside calls, from the end of call number `warm_after` to the end of the last."""
        inside = sum(end[which] - begin[which] for begin, end in self.calls[warm_after:])
        return inside / (self.calls[-1][1][which] - self.calls[warm_after - 1][1][which])


class TimedPrior:
    """A prior whose calls are timed; on a graphics card each is waited for."""

    def __init__(self, prior: Prior, clock: Clock, device: str) -> None:
        self.prior = prior
        self.clock = clock
        self.device = device
        self.shape: tuple[int, int, int] = prior.shape
        self.schedule: NoiseSchedule = prior.schedule

    def eps(self, x: State, t: float) -> State:
        """The prior's eps; timed."""
        import torch

        began = self.clock.now()
        result = self.prior.eps(x, t)
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)
        self.clock.calls.append((began, self.clock.now()))
        return result


class TimedChain(Chain):
    """A chain whose network calls are timed."""

    clock: Clock

    def open(self, **options: Any) -> Session:
        """The session, with its priors timed."""
        session = super().open(**options)
        for _, stage in session.stages:
            if isinstance(stage, RestoreStage):
                stage.prior.prior = TimedPrior(stage.prior.prior, self.clock, session.execution.device)
        return session


class Silent:
    """A run that tells nobody how far it is."""

    def begin(self, images: int, calls: int | None) -> None:
        """Nothing."""

    def calls(self, count: int) -> None:
        """Nothing."""

    def images(self, count: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def face(number: int) -> Image:
    """The checkout's test faces in turn, enlarged; blocks of colour where there is no checkout.

    Faces, because other pictures are searched for faces, which is not what is measured.
    """
    if TEST_FACES.is_file():
        known = face_set(None, 64).test
        return resized(Image.from_uint8(known[number % len(known)]), SIDE, SIDE, "bicubic")
    coarse = np.random.Generator(np.random.Philox(number)).random((3, 32, 32), dtype=np.float32)
    return Image(np.kron(coarse, np.ones((1, SIDE // 32, SIDE // 32), np.float32)))


def idle(faces: int = 64, device: str = "auto", slots: int = SLOTS, settings: Sequence[str] = ()) -> Figure:
    """Share of the wall time, once the first batch is done, in which no network call of `odedit-fast` is at work.

    The run is an ordinary one in this process: files are read ahead and written by other processes.

    Args:
        faces: files; more than `slots`.
        device: auto, cpu, cuda, cuda:N or mps.
        slots: of every network call.
        settings: `path=value` that change the chain.
    """
    import torch

    known = [] if TEST_FACES.is_file() else ["restore.aligned=trust"]
    chain = TimedChain.load("odedit-fast", [*known, *settings])
    assert isinstance(chain, TimedChain)
    chain.clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "faces"
        folder.mkdir()
        for i in range(faces):
            (folder / f"{i:06}.png").write_bytes(encode.encode(face(i), "png"))
        options = RunOptions(Path(place) / "out", device=device, batch_size=slots, workers=2)
        summary = Runner(chain, options, Silent()).run([folder])
    batch = summary.calls_per_image
    wall, own = (100 * (1 - chain.clock.share(batch, which)) for which in (0, 1))
    note = (
        f"odedit-fast, {faces} files of {SIDE} px, {slots} slots, {summary.settings['device']}, "
        f"{torch.get_num_threads()} thread(s), from the end of the first batch to the last call; "
        f"of the thread's processor time {own:.1f} %"
    )
    return Figure("time in which the network waits", wall, "%", 5.0, faces, note)
