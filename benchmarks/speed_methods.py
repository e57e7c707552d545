"""The methods of `python -m benchmarks speed`: odekit, compiled or not, and a plain loop over diffusers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.clock import Clock
from odekit.core.image import Image
from odekit.core.precision import has_tf32, storage_type
from odekit.core.precision import precision as precision_switches

PLAIN, ODEKIT, COMPILED = "diffusers loop", "odekit", "odekit, compiled"


@dataclass(frozen=True)
class Task:
    """The work of every method: `2 steps` calls for inversion and decoding, `2 iterations` for Langevin updates."""

    batch: int
    steps: int
    iterations: int
    device: str

    @property
    def levels(self) -> list[int]:
        """Grid indices of the updates."""
        return [0, max(1, self.steps // 4)]

    @property
    def calls(self) -> int:
        """Network calls of a round."""
        return 2 * self.steps + 2 * self.iterations

    def pixels(self) -> Any:
        """Noise images (batch, 3, 64, 64), float32 in [0, 1]."""
        return np.random.Generator(np.random.Philox(0)).random((self.batch, 3, 64, 64), dtype=np.float32)


@dataclass
class Method:
    """A method at a precision: a round of its work, and its network."""

    method: str
    precision: str
    work: Callable[[], object]
    network: Any
    peak: str = ""
    """The precision of most of its products, where that is another one."""
    clock: Clock = field(default_factory=Clock)


def odekit_method(task: Task, compile: bool, precision: str = "auto") -> Method:
    """odekit in a precision, or in the one that `auto` selects."""
    from odekit.chains.chain import Chain

    enhancer = f"{{use: langevin, levels: {task.levels}, iterations: {task.iterations}}}"
    settings = [
        f"restore.inverter.steps={task.steps}",
        f"restore.enhancer={enhancer}",
        "restore.colour=keep",
        "restore.blur=keep",
        f"priors.face={{use: face64, compile: {str(compile).lower()}}}",
    ]
    session = Chain.load("odedit", settings).open(device=task.device, precision=precision, batch_size=task.batch)
    images = [Image(pixels) for pixels in task.pixels()]
    network = next(iter(session.networks.values())).network  # type: ignore[attr-defined]
    return Method(COMPILED if compile else ODEKIT, session.execution.precision, lambda: session.run(images), network)


def loop_precision(precision: str) -> str:
    """The precision of the plain loop beside a precision of odekit: with int8 the type of what is not in 8 bits."""
    return storage_type(precision) if precision == "int8" else precision


def plain_method(task: Task, precision: str) -> Method:
    """The plain loop on images whose pixels are already unshuffled.

    float32 is as a user writes it, with torch's default switches: on a GPU with TF32, the convolutions, which are most
    of the work, run in TF32.
    """
    import torch
    from diffusers import UNet2DModel

    from benchmarks.plain_loop import plain_loop
    from odekit.core.files import ASSETS

    dtype = getattr(torch, storage_type(precision))
    net = UNet2DModel.from_pretrained(ASSETS / "face64", torch_dtype=dtype).eval().to(task.device)
    small = unshuffled(task).to(dtype)
    timesteps = [level * 1000 // task.steps for level in task.levels]

    def model(x: Any, t: Any) -> Any:
        return net(x, t, return_dict=False)[0]

    def work() -> object:
        with precision_switches(precision, task.device) if precision == "tf32" else nullcontext():
            return plain_loop(model, small, task.steps, timesteps, task.iterations, prediction="v_prediction")

    mixed = precision == "float32" and has_tf32(task.device)
    return Method(PLAIN, precision, work, net, peak="tf32" if mixed else precision)


def unshuffled(task: Task) -> Any:
    """The images as the network takes them, (batch, 12, 32, 32)."""
    import torch

    return torch.nn.functional.pixel_unshuffle(torch.from_numpy(2 * task.pixels() - 1), 2).to(task.device)


def flops(net: Any, task: Task) -> float:
    """Products and sums of a round of the plain network."""
    return task.calls * flops_of(net, unshuffled(task))


def flops_of(net: Any, x: Any) -> float:
    """Products and sums of one call of the plain network."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x, torch.tensor(500, device=x.device), return_dict=False)
    return float(counter.get_total_flops())
