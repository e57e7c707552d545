"""Device, precision and batch size of a run: every `auto` is resolved here, once."""

from __future__ import annotations

from dataclasses import dataclass

from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.batch_size import BatchSize, choose_batch_size
from odekit.chains.tuning.precision import choose_precision
from odekit.core.device import resolve_device
from odekit.plugins.catalog import Catalog


@dataclass(frozen=True)
class Execution:
    """Resolved device, precision and batch size.

    Results depend on these, on the chain, on the seed and on the number of threads.
    """

    device: str
    """Name in torch: cpu, cuda:0, mps."""
    precision: str
    """float32, tf32, bfloat16 or float16."""
    batch_size: int
    """Of every network call; smaller batches are padded."""


def resolve_execution(
    spec: ChainSpec,
    catalog: Catalog,
    images: int,
    device: str = "auto",
    precision: str = "auto",
    batch_size: BatchSize | None = None,
) -> Execution:
    """Resolve every `auto` for a chain on this machine.

    Args:
        spec: the chain.
        catalog: of its parts.
        images: number of images in the job; the default and the automatic batch size do not exceed it.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, float32, tf32, bfloat16 or float16.
        batch_size: a number, `auto` (measured), or None for 8.

    Raises:
        DeviceError: no such device or precision.
        ConfigError: a batch size below 1.
    """
    device = resolve_device(device)
    precision = choose_precision(precision, device, spec, catalog)
    return Execution(device, precision, choose_batch_size(batch_size, images, device, precision, spec, catalog))
