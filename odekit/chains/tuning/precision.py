"""Choice of the precision for `--precision auto`: the fastest one that restores like float32, measured and cached.

Only priors are measured: a prior makes hundreds of calls per image, an upsampler one. Upsamplers that are not safe in
lower precision stay in float32. A run writes its precision to `run.json`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from odekit.chains.plan import all_parts
from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.cache import machine_key, read_cached, write_cached
from odekit.core.abilities import HasCompile, HasWeightsPath
from odekit.core.device import state_device
from odekit.core.files import sha256
from odekit.core.interfaces import Prior
from odekit.core.options import Part
from odekit.core.precision import has_tf32, has_tf32_switches, resolve_precision, supported_16bit_types
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import Catalog, resolve

MIN_PSNR = 45.0
"""dB: minimum PSNR of every calibration picture restored in a lower precision against float32."""
MIN_SPEEDUP = 1.1
"""Minimum speed-up over float32: below it, a lower precision is not used."""
CALIBRATION_IMAGES = 8
"""Number of calibration pictures."""
CACHE_FILE = "precision.json"
"""Name of the cache file."""


@dataclass(frozen=True)
class Measurement:
    """A precision as measured: seconds of a network call on 8 pictures, lowest PSNR against float32 in dB (or not)."""

    seconds: float
    psnr: float | None = None


@dataclass(frozen=True)
class PrecisionChoice:
    """The chosen precision, and the measurements behind the choice."""

    precision: str
    tried: Mapping[str, Measurement] = field(default_factory=dict)


def choose_precision(wanted: str, device: str, spec: ChainSpec, catalog: Catalog) -> str:
    """Resolve a precision; `auto` is the fastest in which all priors of the chain restore like float32.

    Raises:
        DeviceError: unknown precision, or one that the device does not support.
    """
    if wanted != "auto":
        return resolve_precision(wanted, device)
    if not reduced_precisions(device):
        return "float32"
    priors = [part for part in all_parts(spec) if part.kind == "prior"]
    choices = {precision_choice(part, device, catalog).precision for part in priors}
    return choices.pop() if len(choices) == 1 else "float32"


def reduced_precisions(device: str) -> tuple[str, ...]:
    """Precisions below float32 that the hardware supports."""
    return (*supported_16bit_types(device), *(("tf32",) if has_tf32(device) else ()))


def precision_choice(part: Part, device: str, catalog: Catalog) -> PrecisionChoice:
    """Measured choice for a prior on this machine, from the cache if present; float32 for priors without weights."""
    weights = prior_digest(part, catalog)
    if weights is None:
        return PrecisionChoice("float32")
    # Older entries were measured with torch's default switches.
    exact = "; exact float32" if has_tf32_switches(device) else ""
    key = f"{machine_key(device)}; weights {weights}; bound {MIN_PSNR:g} dB{exact}"
    choice = _cached_choice(key)
    if choice is None:
        choice = measure_precisions(partial(load_prior, part, device, catalog), device, reduced_precisions(device))
        write_cached(CACHE_FILE, key, asdict(choice), "precision")
    return choice


def prior_digest(part: Part, catalog: Catalog) -> str | None:
    """The first 16 digits of the SHA-256 of a prior's weights; None for priors without weights."""
    entry = catalog.entry_of(part)
    spec = None if entry.spec is None else resolve(entry.spec, f"prior '{part.name}'")(part.options)
    return sha256(spec.weights)[:16] if isinstance(spec, HasWeightsPath) else None


def load_prior(part: Part, device: str, catalog: Catalog, precision: str) -> BatchedPrior:
    """Load a prior for measurements, not compiled: compiling helps all precisions alike and takes a minute for each."""
    from odekit.chains.tools import PartTools

    compiles = isinstance(part.options, HasCompile)
    uncompiled = replace(part, options=part.options.model_copy(update={"compile": False} if compiles else {}))
    return BatchedPrior(
        PartTools(catalog, device, precision).make(uncompiled), CALIBRATION_IMAGES, precision=precision, device=device
    )


def measure_precisions(load: Callable[[str], Prior], device: str, precisions: Sequence[str]) -> PrecisionChoice:
    """Measure a prior in several precisions: its speed first, and its quality if it is faster than float32.

    The quality is that of a short fixed restoration; see `odekit.parts.stages.precision_check`.

    Args:
        load: loads the prior in a precision.
        device: of the prior.
        precisions: to compare with float32.
    """
    from odekit.parts.stages.precision_check import calibration_images, lowest_psnr, restore_images

    reference = load("float32")
    reference_seconds = call_seconds(reference, device)
    tried = {"float32": Measurement(reference_seconds)}
    pictures: Any = None
    expected: Any = None
    for precision in precisions:
        prior = load(precision)
        seconds = call_seconds(prior, device, give_up=3 * reference_seconds)
        psnr = None
        if seconds * MIN_SPEEDUP <= reference_seconds:
            if pictures is None:
                pictures = calibration_images(reference, device)
                expected = restore_images(reference, pictures)
            psnr = lowest_psnr(restore_images(prior, pictures), expected)
        tried[precision] = Measurement(seconds, psnr)
    safe = [name for name, result in tried.items() if result.psnr is not None and result.psnr >= MIN_PSNR]
    return PrecisionChoice(min(safe, key=lambda name: tried[name].seconds, default="float32"), tried)


def call_seconds(
    prior: Prior,
    device: str,
    give_up: float = math.inf,
    pictures: int = CALIBRATION_IMAGES,
    clock: Callable[[], float] | None = None,
) -> float:
    """Seconds of a network call: the fastest of three after a warm-up call.

    Args:
        prior: to be timed.
        device: of the prior.
        give_up: a call that takes longer ends the measurement.
        pictures: number of pictures in a call.
        clock: seconds so far; wall-clock time by default.
    """
    import torch

    clock = clock or time.perf_counter
    x = torch.zeros((pictures, *prior.shape), dtype=torch.float64, device=state_device(device))
    times: list[float] = []
    while len(times) < 4 and not (times and times[-1] > give_up):
        start = clock()
        prior.eps(x, 500.0).sum().item()  # waits for the device
        times.append(clock() - start)
    return min(times[1:] or times)


def _cached_choice(key: str) -> PrecisionChoice | None:
    """The cached choice; None if there is none."""
    entry = read_cached(CACHE_FILE, key)
    try:
        if entry is None:
            return None
        return PrecisionChoice(
            entry["precision"], {name: Measurement(**result) for name, result in entry["tried"].items()}
        )
    except (KeyError, TypeError, AttributeError):
        return None
