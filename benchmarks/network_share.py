"""The share of a run's time in which the network is idle: `odedit-fast` over files, with reading and writing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import Figure
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
from odekit.runs.silent import Silent
from odekit.runs.summary import RunOptions

SIDE = 512
"""Side of the files: aligned faces as other programs write them."""
BATCH_SIZE = 8


class Clock:
    """When network calls begin and end: in wall time, and in CPU time of the calling thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[float, float], tuple[float, float]]] = []

    @staticmethod
    def now() -> tuple[float, float]:
        """Wall seconds, and CPU seconds of this thread."""
        return time.perf_counter(), time.thread_time()

    def share(self, warm_after: int, which: int = 0) -> float:
        """Share of the time inside calls, from the end of call number `warm_after` to the end of the last."""
        inside = sum(end[which] - begin[which] for begin, end in self.calls[warm_after:])
        return inside / (self.calls[-1][1][which] - self.calls[warm_after - 1][1][which])


class TimedPrior:
    """A prior whose calls are timed; on a GPU each call is synchronised."""

    def __init__(self, prior: Prior, clock: Clock, device: str) -> None:
        self.prior = prior
        self.clock = clock
        self.device = device
        self.shape: tuple[int, int, int] = prior.shape
        self.schedule: NoiseSchedule = prior.schedule

    def eps(self, x: State, t: float) -> State:
        """The prior's eps."""
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


def face(number: int) -> Image:
    """The checkout's test faces in turn, enlarged; blocks of colour where there is no checkout.

    In other images the chain would search for faces, which this benchmark does not measure.
    """
    if TEST_FACES.is_file():
        faces = face_set(None, 64).test
        return resized(Image.from_uint8(faces[number % len(faces)]), SIDE, SIDE, "bicubic")
    coarse = np.random.Generator(np.random.Philox(number)).random((3, 32, 32), dtype=np.float32)
    return Image(np.kron(coarse, np.ones((1, SIDE // 32, SIDE // 32), np.float32)))


def idle(faces: int = 64, device: str = "auto", batch_size: int = BATCH_SIZE, settings: Sequence[str] = ()) -> Figure:
    """Share of the wall time after the first batch in which no network call of `odedit-fast` is at work.

    An ordinary run in this process: other processes read and write the files.

    Args:
        faces: number of files, more than `batch_size`.
        device: auto, cpu, cuda, cuda:N or mps.
        batch_size: of every network call.
        settings: `path=value` that change the chain.
    """
    import torch

    trust = [] if TEST_FACES.is_file() else ["restore.aligned=trust"]
    chain = TimedChain.load("odedit-fast", [*trust, *settings])
    assert isinstance(chain, TimedChain)
    chain.clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "faces"
        folder.mkdir()
        for i in range(faces):
            (folder / f"{i:06}.png").write_bytes(encode.encode(face(i), "png"))
        options = RunOptions(Path(place) / "out", device=device, batch_size=batch_size, workers=2)
        summary = Runner(chain, options, Silent()).run([folder])
    batch = summary.calls.most
    wall_share, cpu_share = (100 * (1 - chain.clock.share(batch, which)) for which in (0, 1))
    note = (
        f"odedit-fast, {faces} files of {SIDE} px, batch size {batch_size}, {summary.settings['device']}, "
        f"{torch.get_num_threads()} thread(s), from the end of the first batch to the last call; "
        f"{cpu_share:.1f} % of the thread's processor time"
    )
    return Figure("time in which the network waits", wall_share, "%", 5.0, faces, note)
