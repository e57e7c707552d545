"""Choice of the batch size for `--batch-size auto`: the smallest one within 5 % of the best throughput.

It is measured once for a machine, weights and a precision, then cached. A run writes its batch size to `run.json`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Literal

from odekit.chains.plan import all_parts
from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.cache import machine_key, read_cached, write_cached
from odekit.chains.tuning.precision import call_seconds, load_prior, prior_digest
from odekit.core.abilities import HasWeightsPath
from odekit.core.device import (
    LARGEST_BATCH_SIZE,
    available_memory_bytes,
    free_gpu_fraction,
    is_out_of_memory,
    peak_memory_bytes,
    release_gpu_memory,
)
from odekit.core.options import Part
from odekit.errors import ConfigError
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import Catalog, resolve

BatchSize = int | Literal["auto"]
DEFAULT_BATCH_SIZE = 8
"""Default batch size, also used for chains without a prior."""
MAX_BATCH_SIZE = 512
"""Largest batch size that is tried."""
MIN_GAIN = 0.05
"""The search ends if two doublings raise the throughput by less than this; the same tolerance selects the result."""
FREE_MEMORY_SHARE = 0.2
"""Share of memory kept free for pictures, states and other networks."""
MAX_DIGITS = 18
"""Of a batch size on the command line."""
MAX_CALL_SECONDS = 5.0
"""The search ends after a call that takes longer, in seconds."""
NETWORK_BYTES_PER_PIXEL, STATE_BYTES_PER_PIXEL = 1500.0, 200.0
"""Memory of one row of a network call, per pixel of its picture: measured for face64 in float32 (6.3 MB for 64 x 64),
and for an exact prior, which holds states only."""
CACHE_FILE = "slots.json"
"""Name of the cache file."""


def parse_batch_size(text: str | None) -> BatchSize | None:
    """Parse the value of `--batch-size`. Raises ConfigError if it is neither a positive number nor `auto`."""
    if text is None or text == "auto":
        return None if text is None else "auto"
    if not (text.isascii() and text.isdecimal()) or not text.strip("0"):
        raise ConfigError(f"--batch-size {text}: at least 1, or auto, which measures the best value on this machine")
    digits = text.lstrip("0")
    if len(digits) > MAX_DIGITS:
        raise ConfigError(f"--batch-size {digits[:MAX_DIGITS]}...: at most {LARGEST_BATCH_SIZE:,}")
    return int(digits)


def check_batch_size(requested: BatchSize | None) -> None:
    """Raise ConfigError for a batch size that is neither `auto` nor a whole number from 1 to `LARGEST_BATCH_SIZE`."""
    if requested is None or requested == "auto":
        return
    if not isinstance(requested, int) or requested < 1:
        raise ConfigError(f"batch size {requested!r}: a whole number of at least 1, or 'auto'")
    if requested > LARGEST_BATCH_SIZE:
        raise ConfigError(f"--batch-size {requested}: at most {LARGEST_BATCH_SIZE:,}")


def choose_batch_size(
    requested: BatchSize | None, images: int, device: str, precision: str, spec: ChainSpec, catalog: Catalog
) -> int:
    """Batch size of a run: as requested; else 8 (None) or measured (`auto`), at most the number of images.

    Raises:
        ConfigError: the requested value is neither `auto` nor a whole number from 1 to `LARGEST_BATCH_SIZE`.
    """
    check_batch_size(requested)
    if isinstance(requested, int):
        return requested
    return max(
        1, min(DEFAULT_BATCH_SIZE if requested is None else best_batch_size(device, precision, spec, catalog), images)
    )


def check_memory(batch_size: int, device: str, spec: ChainSpec, catalog: Catalog) -> None:
    """Refuse a batch size for which the memory at hand is clearly too small, before the system ends the process.

    The need of a network is estimated from the size of its pictures (`NETWORK_BYTES_PER_PIXEL`).

    Raises:
        ConfigError: with the largest batch size that fits.
    """
    free, need = memory_at_hand(device), 0.0
    for part in all_parts(spec):
        described = catalog.entry_of(part).spec if part.kind == "prior" else None
        prior = None if described is None else resolve(described, f"prior '{part.name}'")(part.options)
        if prior is not None:
            per_pixel = NETWORK_BYTES_PER_PIXEL if isinstance(prior, HasWeightsPath) else STATE_BYTES_PER_PIXEL
            need = max(need, per_pixel * float(prior.shape[1] * prior.shape[2]))
    if need and batch_size * need > free and batch_size > 1:
        raise ConfigError(
            f"--batch-size {batch_size}: this needs about {batch_size * need / 1e9:,.1f} GB of memory, and "
            f"{free / 1e9:,.1f} GB are available; at most {min(LARGEST_BATCH_SIZE, max(1, int(free / need))):,} fit"
        )


def memory_at_hand(device: str) -> float:
    """Free memory of the device in bytes; infinite if unknown."""
    import torch

    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(torch.device(device))[0])
    return available_memory_bytes()


def best_batch_size(device: str, precision: str, spec: ChainSpec, catalog: Catalog) -> int:
    """The best batch size for a chain: the smallest among its priors."""
    priors = [part for part in all_parts(spec) if part.kind == "prior"]
    return min((best_for_prior(part, device, precision, catalog) for part in priors), default=DEFAULT_BATCH_SIZE)


def best_for_prior(part: Part, device: str, precision: str, catalog: Catalog) -> int:
    """The best batch size for one prior, from the cache if present; concurrent processes measure it only once."""
    from odekit.plugins.weights.store import lock_file

    weights = prior_digest(part, catalog) or f"{part.name} {part.options.model_dump_json()}"
    key = f"{machine_key(device)}; {precision}; weights {weights}; at most {MAX_BATCH_SIZE}"
    with lock_file(CACHE_FILE):
        entry = read_cached(CACHE_FILE, key)
        if entry is not None and isinstance(entry.get("slots"), int):
            return int(entry["slots"])
        rates = measure_throughput(call_timer(load_prior(part, device, catalog, precision), device))
        best = smallest_near_best(rates)
        values = {"slots": best, "pictures_per_second": {str(size): round(rate, 3) for size, rate in rates.items()}}
        write_cached(CACHE_FILE, key, values, "batch size")
    return best


def call_timer(prior: BatchedPrior, device: str) -> Callable[[int], float]:
    """A function that returns the seconds of a network call with a batch size.

    It raises MemoryError if less than `FREE_MEMORY_SHARE` of the memory would stay free.
    """
    on_gpu, bytes_before = device.startswith("cuda"), peak_memory_bytes()
    last_size = 0

    def seconds(size: int) -> float:
        nonlocal last_size
        if not on_gpu and last_size:
            expected_bytes = (peak_memory_bytes() - bytes_before) * size / last_size
            if (
                expected_bytes > (1 - FREE_MEMORY_SHARE) * available_memory_bytes()
            ):  # the system kills a process that exceeds the memory
                raise MemoryError(f"a batch size of {size} does not fit into memory")
        release_gpu_memory()
        prior.batch_size = size
        # On a CPU, processor time: other programs hardly change it.
        call_time = call_seconds(prior, device, MAX_CALL_SECONDS, size, None if on_gpu else time.process_time)
        if on_gpu and free_gpu_fraction(device) < FREE_MEMORY_SHARE:
            raise MemoryError(f"a batch size of {size} leaves less than {FREE_MEMORY_SHARE:.0%} of the GPU memory free")
        last_size = size
        return call_time

    return seconds


def measure_throughput(seconds: Callable[[int], float]) -> dict[int, float]:
    """Pictures per second for the batch sizes 1, 2, 4 ...

    The search ends if memory runs out, if a call takes longer than `MAX_CALL_SECONDS`, or if the throughput stops
    rising.

    Args:
        seconds: time of a network call with a batch size; raises MemoryError, or torch's error, if memory runs out.
    """
    rates: dict[int, float] = {}
    size = 1
    while size <= MAX_BATCH_SIZE:
        try:
            call_time = seconds(size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            release_gpu_memory()
            break
        rates[size] = size / call_time if call_time > 0 else math.inf
        earlier = [rate for smaller, rate in rates.items() if smaller <= size // 4]
        gained = max(rates[size], rates.get(size // 2, 0.0)) >= (1 + MIN_GAIN) * max(earlier, default=0.0)
        if call_time > MAX_CALL_SECONDS or not gained:
            break
        size *= 2
    return rates


def smallest_near_best(rates: Mapping[int, float]) -> int:
    """The smallest batch size within 5 % of the best throughput; 1 if none fitted (the run reports the error then)."""
    best = max(rates.values(), default=0.0)
    return min((size for size, rate in rates.items() if rate >= (1 - MIN_GAIN) * best), default=1)
