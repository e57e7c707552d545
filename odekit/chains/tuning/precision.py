"""What `precision: auto` means on this machine: the fastest precision that is safe, measured once and remembered.

Only priors are judged, since the loop makes hundreds of calls where an upsampler makes one; upsamplers keep float32
where they are not safe in less. A run writes the decision into its `run.json`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from odekit.chains.plan import walk
from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.cache import machine_key, read_cached, write_cached
from odekit.core.abilities import HasWeightsPath
from odekit.core.device import state_device
from odekit.core.files import sha256
from odekit.core.interfaces import Prior
from odekit.core.options import Part
from odekit.core.precision import candidates, has_tf32, resolve_precision, switched
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import Catalog, resolve

BOUND = 45.0
"""dB: the least PSNR between a picture restored in a precision and in float32, over all calibration pictures."""
GAIN = 1.1
"""How many times as fast as float32 a precision must be to be worth another result."""
FACES = 8
FILE = "precision.json"


@dataclass(frozen=True)
class Tried:
    """A precision as measured: seconds of a network call on 8 pictures, worst PSNR against float32 in dB (or not)."""

    seconds: float
    psnr: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The precision to take, and what was measured."""

    precision: str
    tried: Mapping[str, Tried] = field(default_factory=dict)


def choose_precision(wanted: str, device: str, spec: ChainSpec, catalog: Catalog) -> str:
    """A precision by name; `auto` is the fastest in which all priors of the chain restore as in float32.

    Raises:
        DeviceError: unknown precision, or one that the device does not have.
    """
    if wanted != "auto":
        return resolve_precision(wanted, device)
    priors = [part for part in walk(spec) if part.kind == "prior"]
    verdicts = {verdict_of(part, device, catalog).precision for part in priors} if reduced_precisions(device) else set()
    return verdicts.pop() if len(verdicts) == 1 else "float32"


def reduced_precisions(device: str) -> tuple[str, ...]:
    """Precisions below float32 that the hardware has."""
    return (*candidates(device), *(("tf32",) if has_tf32(device) else ()))


def verdict_of(part: Part, device: str, catalog: Catalog) -> Verdict:
    """What was measured of a prior on this machine, now or before; float32 where nobody knows of a network."""
    weights = prior_digest(part, catalog)
    if weights is None:
        return Verdict("float32")
    exact = "; exact float32" if switched(device) else ""  # before, torch's own switches held
    key = f"{machine_key(device)}; weights {weights}; bound {BOUND:g} dB{exact}"
    known = _cached_verdict(key)
    if known is None:
        known = measure(partial(load, part, device, catalog), device, reduced_precisions(device))
        write_cached(FILE, key, asdict(known), "precision")
    return known


def prior_digest(part: Part, catalog: Catalog) -> str | None:
    """The first digits of the SHA-256 of a prior's weights; None where nobody knows of a network."""
    entry = catalog.get("prior", part.name)
    spec = None if entry.spec is None else resolve(entry.spec, f"prior '{part.name}'")(part.options)
    return sha256(spec.weights)[:16] if isinstance(spec, HasWeightsPath) else None


def load(part: Part, device: str, catalog: Catalog, precision: str) -> BatchedPrior:
    """A prior to be measured: not compiled, which helps all precisions alike and would take a minute for each."""
    from odekit.chains.tools import Toolbox

    compiles = "compile" in type(part.options).model_fields
    plain = replace(part, options=part.options.model_copy(update={"compile": False} if compiles else {}))
    return BatchedPrior(Toolbox(catalog, device, precision).make(plain), FACES, precision=precision, device=device)


def measure(load: Callable[[str], Prior], device: str, precisions: Sequence[str]) -> Verdict:
    """Measure precisions of the prior that `load` makes: speed against float32 first, then quality where it is faster.

    Calibration: 8 pictures drawn from the prior itself with noise added, restored with 20 levels of DDIM and 5 Langevin
    updates at each of two levels, with the same noise in both precisions.
    """
    prior = load("float32")
    least = call_seconds(prior, device)
    tried = {"float32": Tried(least)}
    pictures: Any = None
    wanted: Any = None
    for precision in precisions:
        other = load(precision)
        seconds = call_seconds(other, device, give_up=3 * least)
        quality = None
        if seconds * GAIN <= least:
            if pictures is None:
                pictures = calibration(prior, device)
                wanted = restored(prior, pictures)
            quality = worst_psnr(restored(other, pictures), wanted)
        tried[precision] = Tried(seconds, quality)
    good = [name for name, one in tried.items() if one.psnr is not None and one.psnr >= BOUND]
    return Verdict(min(good, key=lambda name: tried[name].seconds, default="float32"), tried)


def call_seconds(
    prior: Prior,
    device: str,
    give_up: float = math.inf,
    pictures: int = FACES,
    clock: Callable[[], float] | None = None,
) -> float:
    """The least of three network calls on some pictures, after a first one; less often where that took `give_up`."""
    import torch

    clock = clock or time.perf_counter
    x = torch.zeros((pictures, *prior.shape), dtype=torch.float64, device=state_device(device))
    found: list[float] = []
    while len(found) < 4 and not (found and found[-1] > give_up):
        began = clock()
        prior.eps(x, 500.0).sum().item()  # waits for the device
        found.append(clock() - began)
    return min(found[1:] or found)


def calibration(prior: Prior, device: str) -> Any:
    """8 pictures (8, 3, H, W) drawn from the prior by 12 steps from noise, with noise of 0.2 added."""
    from odekit.core.interfaces import Latent
    from odekit.core.noise import BatchNoise, ZeroNoise
    from odekit.core.schedule import signal
    from odekit.parts.inverters.ode import Ode, OdeInverter
    from odekit.parts.solvers.dpmpp_2m import Dpmpp2m

    inverter = OdeInverter(Ode(steps=12, grid="log-snr"), prior, Dpmpp2m())
    top, noise = len(inverter.levels) - 1, draws(prior, device, "guard sample")
    rho = inverter.levels.at(top)
    x = inverter.levels.sigma(top) * noise
    latent = Latent(x, top, inverter.solver.start(inverter.field, x / signal(rho), rho))
    while latent.level >= 0:
        latent = inverter.descend(latent, BatchNoise([ZeroNoise()] * FACES))
    return latent.x.clamp(-1, 1) + 0.2 * draws(prior, device, "guard damage")


def restored(prior: Prior, pictures: Any) -> Any:
    """The pictures restored, in model space, clipped to [-1, 1]."""
    from odekit.core.noise import BatchNoise, ImageNoise, stream
    from odekit.edit import edit
    from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
    from odekit.parts.inverters.ode import Ode, OdeInverter
    from odekit.parts.solvers.ddim import Ddim

    enhancer = LangevinEnhancer(Langevin(levels=[0.0, 0.25], iterations=5))
    inverter = OdeInverter(Ode(steps=20, grid="uniform-t"), prior, Ddim())
    noise = BatchNoise([ImageNoise(stream(0, f"guard {i}", "guard")) for i in range(len(pictures))])
    return edit(pictures, inverter, enhancer, prior, noise).clamp(-1, 1)


def draws(prior: Prior, device: str, name: str) -> Any:
    """Standard normal numbers (8, 3, H, W), always the same."""
    import torch

    from odekit.core.noise import BatchNoise, ImageNoise, stream

    like = torch.zeros((FACES, *prior.shape), dtype=torch.float64, device=state_device(device))
    return BatchNoise([ImageNoise(stream(0, f"{name} {i}", "guard")) for i in range(FACES)]).normal_like(like)


def worst_psnr(some: Any, others: Any) -> float:
    """The least PSNR of a picture in dB, the range being 2; 0 where one is NaN."""
    errors = (some - others).flatten(1).pow(2).mean(dim=1).tolist()
    return min(10 * math.log10(4 / max(e, 1e-40)) if math.isfinite(e) else 0.0 for e in errors)


def _cached_verdict(key: str) -> Verdict | None:
    """What was measured before, where the cache folder holds it."""
    one = read_cached(FILE, key)
    try:
        return None if one is None else Verdict(one["precision"], {k: Tried(**v) for k, v in one["tried"].items()})
    except (KeyError, TypeError, AttributeError):
        return None
