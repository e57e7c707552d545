"""`odekit explain CHAIN --images N`: run time and memory of a job on this machine, estimated from timed calls."""

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
from odekit.core.options import part_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from odekit.chains.chain import Chain
    from odekit.chains.session import Session
    from odekit.chains.tuning.batch_size import BatchSize

ROUNDS = 3
"""Timed rounds of each measurement."""
BUSY_BELOW = 0.8
"""If this process gets less than this share of the processors, the estimate mentions other programs."""


@dataclass(frozen=True)
class Forecast:
    """Times and memory measured on this machine, and the estimate for a job with `images` images."""

    images: int
    batch_size: int
    """Of network calls."""
    calls: int | None
    """Network calls per batch; None if they depend on the pictures."""
    call_seconds: float
    """Wall-clock time of one network call with a full batch."""
    other_seconds: float
    """Time per image outside network calls."""
    memory: float
    """Peak memory of this process in GB: the network, a batch of states, and all imported modules."""
    how: str
    """Device, precision and threads."""
    share: float = 1.0
    """Share of the processors in use that this process got while calls were timed; 1 on a GPU."""

    @property
    def seconds(self) -> float | None:
        """Estimated time of the whole job, without reading and writing; None if the calls depend on the pictures."""
        if self.calls is None:
            return None
        return (
            math.ceil(self.images / self.batch_size) * self.calls * self.call_seconds + self.images * self.other_seconds
        )

    @property
    def idle_seconds(self) -> float | None:
        """Estimated time of the whole job on an idle machine."""
        return None if self.seconds is None else self.seconds * self.share

    def lines(self) -> list[str]:
        """The estimate as text."""
        per_call = f"{1e3 * self.call_seconds:.0f} ms"
        other = f" + {self.other_seconds:.2g} s per image" if self.other_seconds >= 0.001 else ""
        if self.seconds is None:
            time_text = (
                f"the time for {self.images} image(s) depends on the images: "
                f"a network call for {self.batch_size} of them takes {per_call}"
            )
        else:
            batches = math.ceil(self.images / self.batch_size)
            time_text = (
                f"{self.images} image(s) take about {format_duration(self.seconds)}: "
                f"{batches} batch(es) of {self.batch_size} x {self.calls} calls x {per_call}"
            )
        load = ""
        if self.share < BUSY_BELOW:
            load = f" (other programs leave {self.share:.0%} of the processors"
            load += ")" if self.idle_seconds is None else f"; about {format_duration(self.idle_seconds)} without them)"
        return [
            f"{time_text}{other}, on {self.how}, at the current load{load}",
            f"memory: about {self.memory:.1f} GB",
        ]

    def tree(self) -> dict[str, Any]:
        """The estimate as plain data, for --json; the batch size has the key `slots`."""
        tree = {"slots" if key == "batch_size" else key: value for key, value in asdict(self).items()}
        return tree | {"seconds": self.seconds, "at_rest": self.idle_seconds}


def forecast(chain: Chain, images: int, batch_size: BatchSize | None = None, device: str = "auto") -> Forecast:
    """Load the networks of a chain and time them, and time its other stages on a grey image.

    Args:
        chain: to be timed; if its number of network calls depends on the pictures, only the time of a call is measured.
        images: number of images in the job.
        batch_size: of network calls; `auto` measures the best value; None: the default of `odekit run`.
        device: auto, cpu, cuda, cuda:N or mps.
    """
    import torch

    session = chain.open(images=images, device=device, batch_size=batch_size)
    calls = chain.plan().calls
    timing = max(
        (fastest(partial(network_call, prior, session)) for prior in session.networks.values()),
        default=Timing(0.0, 0.0),
    )
    other = other_seconds_per_image(session)
    memory = machine.peak_memory_gb()
    if session.execution.device.startswith("cuda"):
        memory = torch.cuda.max_memory_allocated(session.execution.device) / 1e9
    how = f"{session.execution.device}, {session.execution.precision}, {torch.get_num_threads()} thread(s)"
    share = 1.0
    if session.execution.device == "cpu" and timing.processor:
        share = min(1.0, timing.processor / torch.get_num_threads() / timing.wall)
    return Forecast(images, session.batch_size, calls, timing.wall, other, memory, how, share)


def network_call(prior: Any, session: Session) -> None:
    """Make one network call with a full batch, and wait for the device."""
    import torch

    from odekit.core.device import state_device

    x = torch.zeros(
        (session.batch_size, *prior.shape), dtype=torch.float64, device=state_device(session.execution.device)
    )
    prior.eps(x, 500.0).sum().item()


def other_seconds_per_image(session: Session) -> float:
    """Seconds per image outside network calls: the preparation in `restore`, and the stages without sub-chains.

    Stages with sub-chains are not timed: their time depends on the content of the photograph.
    """
    side = max((prior.shape[1] for prior in session.networks.values()), default=64)
    image, total = Image(np.full((3, side, side), 0.5, dtype=np.float32)), 0.0
    for place, (item, (_, stage)) in enumerate(zip(session.spec.items, session.stages, strict=True)):
        if isinstance(stage, Prepares):
            total += fastest(partial(stage.prepare, image)).wall
        elif all(mark.kind != "chain" for _, mark in part_fields(type(item.options))):
            context = session.context(str(place))
            context.originals, context.earlier = [image], [()]
            total += fastest(partial(stage.run, [image], context)).wall
            image = stage.run([image], context)[0]
    return total


class Timing(NamedTuple):
    """Seconds that a piece of work took."""

    wall: float
    processor: float
    """Processor time, summed over all threads."""


def fastest(work: Callable[[], object]) -> Timing:
    """The fastest of several rounds, after a warm-up round."""
    timings = []
    for _ in range(1 + ROUNDS):
        wall_start, processor_start = time.perf_counter(), time.process_time()
        work()
        timings.append(Timing(time.perf_counter() - wall_start, time.process_time() - processor_start))
    return min(timings[1:])


def format_duration(seconds: float) -> str:
    """A duration as text in s, min, h or days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
