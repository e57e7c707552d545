"""Networks of the diffusers library that are in memory already, as priors: a `UNet2DModel`, or a pipeline with one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from odekit.core.precision import storage_type
from odekit.core.schedule import NoiseSchedule
from odekit.errors import ConfigError
from odekit.parts.priors.folder import PriorSpec, spec_of_configs

if TYPE_CHECKING:
    from torch import Tensor

    from odekit.parts.priors.network import DiffusersPrior

MEMORY = Path("(network in memory)") / "weights"
"""Stands for the file in messages."""


class Network(Protocol):
    """What is used of a `UNet2DModel`."""

    config: Mapping[str, Any]

    def state_dict(self) -> Mapping[str, Tensor]:
        """The weights by name."""
        ...


class InMemoryPrior:
    """A prior that holds a network of diffusers, and copies it to the device of a run. The network is not changed."""

    def __init__(self, network: Network, scheduler: Mapping[str, Any]) -> None:
        """Read the description of a network.

        Args:
            network: a `UNet2DModel`.
            scheduler: configuration of the scheduler; empty: DDPM's, linear betas 1e-4 to 0.02 in 1,000 steps.

        Raises:
            WeightsError: a network or a schedule that is no prior of images, such as one with classes.
        """
        config = {"_class_name": "UNet2DModel", **json.loads(json.dumps(dict(network.config)))}
        self.spec: PriorSpec = spec_of_configs(config, json.loads(json.dumps(dict(scheduler))), MEMORY)
        self.network = network
        self.shape = self.spec.shape
        self.schedule: NoiseSchedule = self.spec.schedule

    def placed(self, device: str, precision: str) -> DiffusersPrior:
        """The prior with a copy of the network."""
        from odekit.parts.priors.fast.blocks import use_fast_blocks
        from odekit.parts.priors.network import DTYPES, DiffusersPrior, build_network

        tensors = {name: tensor.detach() for name, tensor in self.network.state_dict().items()}
        network = build_network(self.spec, tensors, DTYPES[storage_type(precision)])
        prior = DiffusersPrior(self.spec, use_fast_blocks(network.to(device), pack=True, eight_bit=precision == "int8"))
        vars(prior)["weights_digest"] = digest_of(tensors)
        return prior

    def eps(self, x: Tensor, t: float) -> Tensor:
        """The predicted noise, in float32 on the CPU."""
        if "_prior" not in vars(self):
            self._prior = self.placed("cpu", "float32")
        return self._prior.eps(x, t)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values (as float32) of weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def adapt(value: Any) -> InMemoryPrior | None:
    """The prior of a `UNet2DModel`, or of a pipeline of diffusers with `unet` and `scheduler`; None for other objects.

    Raises:
        ConfigError: a pipeline whose network is no `UNet2DModel`.
        WeightsError: a network that is no prior of images.
    """
    names = {kind.__name__ for kind in type(value).__mro__ if kind.__module__.partition(".")[0] == "diffusers"}
    if "UNet2DModel" in names:
        return InMemoryPrior(value, {})
    if "DiffusionPipeline" not in names:
        return None
    components: Mapping[str, Any] = value.components
    unet: Any
    unet, scheduler = components.get("unet"), components.get("scheduler")
    if type(unet).__name__ != "UNet2DModel" or scheduler is None:
        raise ConfigError(
            f"the {type(value).__name__} has no UNet2DModel with a scheduler; a prior predicts the noise of RGB "
            "images, without prompts and classes"
        )
    return InMemoryPrior(unet, scheduler.config)
