"""`odekit explain CHAIN --images N`: how long a job will take on this machine, and in how much memory."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.bench import machine
from odekit.image import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from odekit.autoslots import Slots
    from odekit.chain import Chain
    from odekit.session import Session

ROUNDS = 3


@dataclass(frozen=True)
class Forecast:
    """What was measured of a chain here, and what a job of so many images follows to take."""

    images: int
    slots: int
    """Pictures in a network call."""
    calls: int | None
    """Network calls of a batch; None where they depend on the pictures."""
    call_seconds: float
    """Of a network call with all slots, on the wall."""
    other_seconds: float
    """Of the other stages, for each image."""
    memory: float
    """The most that this process held, GB: the network, a batch of states, and everything imported."""
    how: str
    """Device, precision and threads."""

    @property
    def seconds(self) -> float | None:
        """Of the whole job, without reading and writing; None where the calls depend on the pictures."""
        if self.calls is None:
            return None
        return math.ceil(self.images / self.slots) * self.calls * self.call_seconds + self.images * self.other_seconds

    def lines(self) -> list[str]:
        """What a person reads."""
        each = f"{1e3 * self.call_seconds:.0f} ms"
        other = f" + {self.other_seconds:.2g} s for each image" if self.other_seconds >= 0.001 else ""
        if self.seconds is None:
            ahead = (
                f"how long {self.images} image(s) take depends on them: a call for {self.slots} of them takes {each}"
            )
        else:
            batches = math.ceil(self.images / self.slots)
            ahead = (
                f"{self.images} image(s) take about {duration(self.seconds)}: "
                f"{batches} batch(es) of {self.slots} x {self.calls} calls x {each}"
            )
        return [f"{ahead}{other}, on {self.how}, as busy as it is now", f"memory: about {self.memory:.1f} GB"]

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"seconds": self.seconds}


def forecast(chain: Chain, images: int, slots: Slots | None = None, device: str = "auto") -> Forecast:
    """Load what a chain needs and time it: its network's calls, and its other stages on a grey face.

    Args:
        chain: on pictures for which the plan knows the calls; of others a call's time is all that can be told.
        images: of the job.
        slots: pictures in a network call, or `auto`; as for `odekit run` where None.
        device: auto, cpu, cuda, cuda:N or mps.
    """
    import torch

    session = chain.open(device=device, batch_size=min(8, images) if slots is None else slots)
    if slots == "auto":
        session.slots = min(session.slots, images)
    slots = session.slots
    calls = chain.plan().calls
    call_seconds = max((least(partial(call, prior, session)) for prior in session.priors.values()), default=0.0)
    other = others(session)
    memory = machine.peak_memory()
    if session.device.startswith("cuda"):
        memory = torch.cuda.max_memory_allocated(session.device) / 1e9
    how = f"{session.device}, {session.precision}, {torch.get_num_threads()} thread(s)"
    return Forecast(images, slots, calls, call_seconds, other, memory, how)


def call(prior: Any, session: Session) -> None:
    """One network call with all slots, done when this returns."""
    import torch

    from odekit.context import tensor_device

    x = torch.zeros((session.slots, *prior.shape), dtype=torch.float64, device=tensor_device(session.device))
    prior.eps(x, 500.0).sum().item()


def others(session: Session) -> float:
    """Seconds that the stages after `restore` take for an image; those of photographs depend on what is in them."""
    from odekit.context import StageRun, tensor_device

    side = max((prior.shape[1] for prior in session.priors.values()), default=64)
    image, total = Image(np.full((3, side, side), 0.5, dtype=np.float32)), 0.0
    for place, (name, stage) in enumerate(session.stages):
        if name not in ("restore", "faces", "save"):
            context = StageRun(0, str(place), session.slots, tensor_device(session.device), session.counter)
            total += least(partial(stage.run, [image], context))
            image = stage.run([image], context)[0]
    return total


def least(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds, after one that warms up."""
    found = []
    for _ in range(1 + ROUNDS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found[1:])


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
