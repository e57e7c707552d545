"""Device, precision and batch size of a run: every `auto` is resolved here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.batch_size import BatchSize, check_batch_size, check_memory, choose_batch_size
from odekit.chains.tuning.precision import decide_precision
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
    """float32, tf32, bfloat16, float16 or int8."""
    batch_size: int
    """Of every network call; smaller batches are padded."""
    precision_choices: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """How `auto` chose the precision for each prior: measurements, what is needed, and the margins."""


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
        precision: auto, float32, tf32, bfloat16, float16 or int8.
        batch_size: a number, `auto` (measured), or None for 8.

    Raises:
        DeviceError: no such device or precision.
        ConfigError: a batch size below 1, or beyond the memory at hand or `LARGEST_BATCH_SIZE`.
    """
    device = resolve_device(device)
    if isinstance(batch_size, int):
        check_memory(batch_size, device, spec, catalog)  # before anything is measured
    check_batch_size(batch_size)
    precision, measured = decide_precision(precision, device, spec, catalog, images)
    choices = {name: choice.tree() for name, choice in measured.items()}
    slots = choose_batch_size(batch_size, images, device, precision, spec, catalog)
    return Execution(device, precision, slots, choices)
