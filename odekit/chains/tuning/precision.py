"""Choice of the precision for `--precision auto`: the fastest one that restores like float32, measured and cached.

Only priors are measured: a prior makes hundreds of calls per image, an upsampler one. Upsamplers that are not safe in
lower precision stay in float32. A run writes its precision, and the measurements behind it, to `run.json`, and all runs
in the folder use it.

A lower precision has to be faster than float32 beyond the noise of the measurement (`odekit.core.timing`). Where the
measurement does not tell, the run uses float32, and the next one measures again.

A measurement takes half a minute of a CPU. The choices for known processors ship with the weights; on others, runs use
float32 until this machine has restored so many pictures that the measurement pays.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from odekit.chains.plan import all_parts
from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.cache import machine_key, read_cached, write_cached
from odekit.chains.tuning.precision_choice import (
    MIN_PSNR,
    MIN_SPEEDUP,
    Measurement,
    PrecisionChoice,
    choice_from,
    shipped_choice,
)
from odekit.core.abilities import HasCompile, HasWeightsPath
from odekit.core.device import state_device
from odekit.core.files import sha256
from odekit.core.interfaces import Prior
from odekit.core.options import Part
from odekit.core.precision import has_tf32, has_tf32_switches, resolve_precision, supported_16bit_types
from odekit.core.timing import clock_of, compare
from odekit.errors import OdekitWarning
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import Catalog, resolve

CALIBRATION_IMAGES = 8
"""Number of calibration pictures."""
CACHE_FILE = "precision.json"
"""Name of the cache file."""
WORTH_MEASURING = 50
"""Pictures restored on this machine from which a CPU is measured: the measurement takes what about fifty faces gain."""


def choose_precision(wanted: str, device: str, spec: ChainSpec, catalog: Catalog, images: int = WORTH_MEASURING) -> str:
    """Resolve a precision; see `decide_precision`."""
    return decide_precision(wanted, device, spec, catalog, images)[0]


def decide_precision(
    wanted: str, device: str, spec: ChainSpec, catalog: Catalog, images: int
) -> tuple[str, Mapping[str, PrecisionChoice]]:
    """Resolve a precision; `auto` is the fastest in which all priors of the chain restore like float32.

    Args:
        wanted: `auto` or a precision.
        device: of the run.
        spec: the chain.
        catalog: of its parts.
        images: number of images in the job.

    Returns:
        The precision, and the choice for each prior by its name; empty if there was none.

    Raises:
        DeviceError: unknown precision, or one that the device does not support.
    """
    if wanted != "auto":
        return resolve_precision(wanted, device), {}
    if not reduced_precisions(device):
        return "float32", {}
    priors = [part for part in all_parts(spec) if part.kind == "prior"]
    choices = {part.name: precision_choice(part, device, catalog, images) for part in priors}
    names = {choice.precision for choice in choices.values()}
    made = {name: one for name, one in choices.items() if one.tried or one.source == "postponed"}
    return names.pop() if len(names) == 1 else "float32", made


def reduced_precisions(device: str) -> tuple[str, ...]:
    """Precisions below float32 that the hardware supports, and that `auto` chooses from.

    Not `int8`, which is for whoever asks for it: it restores the calibration pictures well enough (52 dB), but single
    pictures with 46 dB, and flat grey ones in a few steps with 34 dB, where bfloat16 has 58 and 49 dB.
    """
    return (*supported_16bit_types(device), *(("tf32",) if has_tf32(device) else ()))


def precision_choice(part: Part, device: str, catalog: Catalog, images: int) -> PrecisionChoice:
    """Choice for a prior: shipped with its weights, from the cache, or measured; float32 for priors without weights.

    Concurrent processes measure it only once.
    """
    from odekit.plugins.weights.store import lock_file

    weights, digest = prior_weights(part, catalog), prior_digest(part, catalog)
    if weights is None or digest is None:
        return PrecisionChoice("float32")
    shipped = shipped_choice(weights, digest, device)
    if shipped is not None and shipped.precision in ("float32", *reduced_precisions(device)):
        return shipped
    # Older entries were measured with torch's default switches.
    exact = "; exact float32" if has_tf32_switches(device) else ""
    key = f"{machine_key(device)}; weights {digest}; bound {MIN_PSNR:g} dB{exact}; in turns"
    with lock_file(CACHE_FILE):
        choice = choice_from(read_cached(CACHE_FILE, key))
        if choice is None and device == "cpu" and not worth_measuring(f"{key}; pictures", images):
            return PrecisionChoice("float32", source="postponed")
        if choice is None:
            choice = measure_precisions(partial(load_prior, part, device, catalog), device, reduced_precisions(device))
            if choice.clear:
                write_cached(CACHE_FILE, key, asdict(choice), "precision")
    return choice


def worth_measuring(key: str, images: int) -> bool:
    """Count the pictures of a job, and tell whether those of this machine are enough for a measurement.

    Until then the time lost in float32 is less than a measurement takes; later it would be more.
    """
    entry = read_cached(CACHE_FILE, key)
    before = entry.get("pictures") if entry is not None else 0
    pictures = images + (before if isinstance(before, int) else 0)
    if pictures >= WORTH_MEASURING:
        return True
    with warnings.catch_warnings():  # a home that cannot be written is no news: nothing was measured
        warnings.simplefilter("ignore", OdekitWarning)
        write_cached(CACHE_FILE, key, {"pictures": pictures}, "number of pictures")
    return False


def prior_weights(part: Part, catalog: Catalog) -> Path | None:
    """The file of a prior's weights; None for priors without weights."""
    entry = catalog.entry_of(part)
    spec = None if entry.spec is None else resolve(entry.spec, f"prior '{part.name}'")(part.options)
    return spec.weights if isinstance(spec, HasWeightsPath) else None


def prior_digest(part: Part, catalog: Catalog) -> str | None:
    """The first 16 digits of the SHA-256 of a prior's weights; None for priors without weights."""
    weights = prior_weights(part, catalog)
    return None if weights is None else sha256(weights)[:16]


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
