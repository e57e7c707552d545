"""`odekit explain CHAIN --images N`: how long a job will take on this machine, and in how much memory."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from odekit.core import device as machine
from odekit.core.abilities import Prepares
from odekit.core.image import Image
from odekit.core.options import nested

if TYPE_CHECKING:
    from collections.abc import Callable

    from odekit.chains.chain import Chain
    from odekit.chains.session import Session
    from odekit.chains.tuning.batch_size import BatchSize

ROUNDS = 3
BUSY = 0.8
"""Below this share of the processors other programs are mentioned."""


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
    """For each image, beside network calls."""
    memory: float
    """The most that this process held, GB: the network, a batch of states, and everything imported."""
    how: str
    """Device, precision and threads."""
    share: float = 1.0
    """What this process got of the processors that it uses, while calls were timed; 1 where a card computes."""

    @property
    def seconds(self) -> float | None:
        """Of the whole job, without reading and writing; None where the calls depend on the pictures."""
        if self.calls is None:
            return None
        return math.ceil(self.images / self.slots) * self.calls * self.call_seconds + self.images * self.other_seconds

    @property
    def at_rest(self) -> float | None:
        """Likewise, where nothing else runs."""
        return None if self.seconds is None else self.seconds * self.share

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
        rest = ""
        if self.share < BUSY:
            rest = f" (other programs leave {self.share:.0%} of it"
            rest += ")" if self.at_rest is None else f"; about {duration(self.at_rest)} without them)"
        return [f"{ahead}{other}, on {self.how}, as busy as it is now{rest}", f"memory: about {self.memory:.1f} GB"]

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"seconds": self.seconds, "at_rest": self.at_rest}


def forecast(chain: Chain, images: int, slots: BatchSize | None = None, device: str = "auto") -> Forecast:
    """Load what a chain needs and time it: its network's calls, and its other stages on a grey face.

    Args:
        chain: on pictures for which the plan knows the calls; of others a call's time is all that can be told.
        images: of the job.
        slots: pictures in a network call, or `auto`; as for `odekit run` where None.
        device: auto, cpu, cuda, cuda:N or mps.
    """
    import torch

    session = chain.open(images=images, device=device, batch_size=slots)
    slots = session.slots
    calls = chain.plan().calls
    took = max((least(partial(call, prior, session)) for prior in session.networks.values()), default=Took(0.0, 0.0))
    other = others(session)
    memory = machine.peak_memory()
    if session.execution.device.startswith("cuda"):
        memory = torch.cuda.max_memory_allocated(session.execution.device) / 1e9
    how = f"{session.execution.device}, {session.execution.precision}, {torch.get_num_threads()} thread(s)"
    share = 1.0
    if session.execution.device == "cpu" and took.processor:
        share = min(1.0, took.processor / torch.get_num_threads() / took.wall)
    return Forecast(images, slots, calls, took.wall, other, memory, how, share)


def call(prior: Any, session: Session) -> None:
    """One network call with all slots, done when this returns."""
    import torch

    from odekit.core.device import state_device

    x = torch.zeros((session.slots, *prior.shape), dtype=torch.float64, device=state_device(session.execution.device))
    prior.eps(x, 500.0).sum().item()


def others(session: Session) -> float:
    """Seconds for an image beside network calls: what `restore` looks at before, and the stages after it.

    Those of photographs depend on what is in them.
    """
    side = max((prior.shape[1] for prior in session.networks.values()), default=64)
    image, total = Image(np.full((3, side, side), 0.5, dtype=np.float32)), 0.0
    for place, (item, (_, stage)) in enumerate(zip(session.spec.items, session.stages, strict=True)):
        if isinstance(stage, Prepares):
            total += least(partial(stage.prepare, image)).wall
        elif all(mark.kind != "chain" for _, mark in nested(type(item.options))):
            context = session.context(str(place))
            total += least(partial(stage.run, [image], context)).wall
            image = stage.run([image], context)[0]
    return total


class Took(NamedTuple):
    """Seconds of a piece of work."""

    wall: float
    processor: float
    """Of all threads."""


def least(work: Callable[[], object]) -> Took:
    """The fastest of some rounds, after one that warms up."""
    found = []
    for _ in range(1 + ROUNDS):
        began, computed = time.perf_counter(), time.process_time()
        work()
        found.append(Took(time.perf_counter() - began, time.process_time() - computed))
    return min(found[1:])


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
