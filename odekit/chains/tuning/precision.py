"""Choice of the precision for `--precision auto`: the fastest one that restores like float32, measured and cached.

Only priors are measured: a prior makes hundreds of calls per image, an upsampler one. Upsamplers that are not safe in
lower precision stay in float32. A run writes its precision, and the measurements behind it, to `run.json`, and all runs
in the folder use it.

A lower precision has to be faster than float32 beyond the noise of the measurement (`odekit.core.timing`). Where the
measurement does not tell, the run uses float32, and the next one measures again.
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
from odekit.core.timing import clock_of, compare
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
    """A precision as measured."""

    seconds: float
    """Of a network call on 8 pictures: processor time on a CPU."""
    psnr: float | None = None
    """The lowest against float32 in dB; None if it is not faster."""
    speedup: tuple[float, float, float] | None = None
    """Over float32: median, and range of the repeated measurements without the extremes."""


@dataclass(frozen=True)
class PrecisionChoice:
    """The chosen precision, and the measurements behind the choice."""

    precision: str
    tried: Mapping[str, Measurement] = field(default_factory=dict)
    clear: bool = True
    """No measured speed-up is within its noise of `MIN_SPEEDUP`."""

    def tree(self) -> dict[str, Any]:
        """The choice for `run.json`: what was measured, and by how much it exceeds what is needed; negative: misses."""
        margins = {
            name: {
                "speedup": None if result.speedup is None else round(result.speedup[1] - MIN_SPEEDUP, 3),
                "psnr": None if result.psnr is None else round(result.psnr - MIN_PSNR, 2),
            }
            for name, result in self.tried.items()
            if name != "float32"
        }
        needed = {"speedup": MIN_SPEEDUP, "psnr": MIN_PSNR}
        return asdict(self) | {"needed": needed, "margins": margins}


def choose_precision(wanted: str, device: str, spec: ChainSpec, catalog: Catalog) -> str:
    """Resolve a precision; see `decide_precision`."""
    return decide_precision(wanted, device, spec, catalog)[0]


def decide_precision(
    wanted: str, device: str, spec: ChainSpec, catalog: Catalog
) -> tuple[str, Mapping[str, PrecisionChoice]]:
    """Resolve a precision; `auto` is the fastest in which all priors of the chain restore like float32.

    Returns:
        The precision, and the measured choice for each prior by its name; empty if nothing was measured.

    Raises:
        DeviceError: unknown precision, or one that the device does not support.
    """
    if wanted != "auto":
        return resolve_precision(wanted, device), {}
    if not reduced_precisions(device):
        return "float32", {}
    priors = [part for part in all_parts(spec) if part.kind == "prior"]
    choices = {part.name: precision_choice(part, device, catalog) for part in priors}
    names = {choice.precision for choice in choices.values()}
    return names.pop() if len(names) == 1 else "float32", {name: one for name, one in choices.items() if one.tried}


def reduced_precisions(device: str) -> tuple[str, ...]:
    """Precisions below float32 that the hardware supports."""
    return (*supported_16bit_types(device), *(("tf32",) if has_tf32(device) else ()))


def precision_choice(part: Part, device: str, catalog: Catalog) -> PrecisionChoice:
    """Measured choice for a prior on this machine, from the cache if present; float32 for priors without weights.

    Concurrent processes measure it only once.
    """
    from odekit.plugins.weights.store import lock_file

    weights = prior_digest(part, catalog)
    if weights is None:
        return PrecisionChoice("float32")
    # Older entries were measured with torch's default switches.
    exact = "; exact float32" if has_tf32_switches(device) else ""
    key = f"{machine_key(device)}; weights {weights}; bound {MIN_PSNR:g} dB{exact}; in turns"
    with lock_file(CACHE_FILE):
        choice = _cached_choice(key)
        if choice is None:
            choice = measure_precisions(partial(load_prior, part, device, catalog), device, reduced_precisions(device))
            if choice.clear:
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

    The speeds are measured in turns, on a CPU by processor time, so that other programs hardly matter. The quality is
    that of a short fixed restoration; see `odekit.parts.stages.precision_check`.

    Args:
        load: loads the prior in a precision.
        device: of the prior.
        precisions: to compare with float32.
    """
    from odekit.parts.stages.precision_check import calibration_images, lowest_psnr, restore_images

    reference, priors = load("float32"), {precision: load(precision) for precision in precisions}
    calls = {precision: network_call(prior, device) for precision, prior in priors.items()}
    reference_seconds, measured = compare(network_call(reference, device), calls, clock_of(device))
    tried = {"float32": Measurement(reference_seconds)}
    pictures: Any = None
    expected: Any = None
    for precision, (seconds, gain) in measured.items():
        psnr = None
        if gain.exceeds(MIN_SPEEDUP):
            if pictures is None:
                pictures = calibration_images(reference, device)
                expected = restore_images(reference, pictures)
            psnr = lowest_psnr(restore_images(priors[precision], pictures), expected)
        tried[precision] = Measurement(seconds, psnr, (gain.median, gain.least, gain.most))
    clear = all(gain.is_clear(MIN_SPEEDUP) for _, gain in measured.values())
    return PrecisionChoice(_fastest_safe(tried), tried, clear)


def _fastest_safe(tried: Mapping[str, Measurement]) -> str:
    """The fastest precision that is good enough; of those that are as fast within the noise, the most exact."""
    safe = {name: r for name, r in tried.items() if r.psnr is not None and r.speedup and r.psnr >= MIN_PSNR}
    if not safe:
        return "float32"
    surest = max(result.speedup[1] for result in safe.values() if result.speedup)
    as_fast = {name: result for name, result in safe.items() if result.speedup and result.speedup[2] >= surest}
    return max(as_fast, key=lambda name: as_fast[name].psnr or 0.0)


def network_call(prior: Prior, device: str, pictures: int = CALIBRATION_IMAGES) -> Callable[[], object]:
    """A function that calls a network on some pictures, and waits for the device."""
    import torch

    x = torch.zeros((pictures, *prior.shape), dtype=torch.float64, device=state_device(device))
    return lambda: prior.eps(x, 500.0).sum().item()


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
    clock, call = clock or time.perf_counter, network_call(prior, device, pictures)
    times: list[float] = []
    while len(times) < 4 and not (times and times[-1] > give_up):
        start = clock()
        call()
        times.append(clock() - start)
    return min(times[1:] or times)


def _cached_choice(key: str) -> PrecisionChoice | None:
    """The cached choice; None if there is none."""
    entry = read_cached(CACHE_FILE, key)
    try:
        if entry is None:
            return None
        tried = {name: Measurement(**result) for name, result in entry["tried"].items()}
        return PrecisionChoice(str(entry["precision"]), tried)
    except (KeyError, TypeError, AttributeError):
        return None
