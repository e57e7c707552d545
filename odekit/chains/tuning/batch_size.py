"""What `--batch-size auto` means on this machine: the fewest slots with which a network is as fast as it gets.

Measured once for a machine, weights and precision, and remembered. A run writes the number into its `run.json`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Literal

from odekit.chains.plan import walk
from odekit.chains.resolve import ChainSpec
from odekit.chains.tuning.cache import machine_key, read_cached, write_cached
from odekit.chains.tuning.precision import call_seconds, load, prior_digest
from odekit.core.device import available_bytes, free_share, out_of_memory, peak_bytes, release_unused
from odekit.core.options import Part
from odekit.errors import ConfigError
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import Catalog

BatchSize = int | Literal["auto"]
USUAL = 8
"""Slots where nothing is asked for, and of chains without a prior."""
MOST = 512
GAIN = 0.05
"""Two doublings that gain less pictures per second end the search, and so much less than the best is as good."""
SPARE = 0.2
"""Share of the memory that is left free: pictures, states and other networks want some too."""
PATIENCE = 5.0
"""Seconds of a call after which no longer one is tried."""
FILE = "slots.json"


def parse_batch_size(text: str | None) -> BatchSize | None:
    """What stands behind `--batch-size`. Raises ConfigError where it is neither a number nor `auto`."""
    if text is None or text == "auto":
        return None if text is None else "auto"
    if not text.lstrip("-").isdigit() or int(text) < 1:
        raise ConfigError(f"--batch-size {text}: at least 1, or auto, which measures what is best here")
    return int(text)


def choose_batch_size(
    wanted: BatchSize | None, images: int, device: str, precision: str, spec: ChainSpec, catalog: Catalog
) -> int:
    """Slots of every network call of a run: those asked for, or 8 or the best here, or the number of images if fewer.

    Raises:
        ConfigError: fewer than one.
    """
    if isinstance(wanted, int):
        if wanted < 1:
            raise ConfigError(f"--batch-size {wanted}: at least 1")
        return wanted
    return max(1, min(USUAL if wanted is None else best_batch_size(device, precision, spec, catalog), images))


def best_batch_size(device: str, precision: str, spec: ChainSpec, catalog: Catalog) -> int:
    """The number that suits all priors of a chain: the least of theirs."""
    priors = [part for part in walk(spec) if part.kind == "prior"]
    return min((best_for_prior(part, device, precision, catalog) for part in priors), default=USUAL)


def best_for_prior(part: Part, device: str, precision: str, catalog: Catalog) -> int:
    """The number for one prior, measured now or before; processes that ask at the same time measure once."""
    from odekit.plugins.weights.store import exclusive_file

    what = prior_digest(part, catalog) or f"{part.name} {part.options.model_dump_json()}"
    key = f"{machine_key(device)}; {precision}; weights {what}; at most {MOST}"
    with exclusive_file(FILE):
        known = read_cached(FILE, key)
        if known is not None and isinstance(known.get("slots"), int):
            return int(known["slots"])
        found = measure_rates(call_timer(load(part, device, catalog, precision), device))
        number = smallest_near_best(found)
        told = {"slots": number, "pictures_per_second": {str(slots): round(rate, 3) for slots, rate in found.items()}}
        write_cached(FILE, key, told, "batch size")
    return number


def call_timer(prior: BatchedPrior, device: str) -> Callable[[int], float]:
    """Seconds of a call with so many slots. What is returned raises MemoryError where too little is left free."""
    card, before = device.startswith("cuda"), peak_bytes()
    last = 0

    def seconds(slots: int) -> float:
        nonlocal last
        if not card and last and (peak_bytes() - before) * slots / last > (1 - SPARE) * available_bytes():
            raise MemoryError(f"{slots} slots would not fit")  # the system kills a process that takes too much
        release_unused()
        prior.slots = slots
        # A processor's own time, which other programs hardly change.
        took = call_seconds(prior, device, PATIENCE, slots, None if card else time.process_time)
        if card and free_share(device) < SPARE:
            raise MemoryError(f"{slots} slots leave less than {SPARE:.0%} of the card's memory free")
        last = slots
        return took

    return seconds


def measure_rates(seconds: Callable[[int], float]) -> dict[int, float]:
    """Pictures per second by slots: 1, 2, 4 ... until memory or patience runs out, or more slots gain nothing."""
    found: dict[int, float] = {}
    slots = 1
    while slots <= MOST:
        try:
            took = seconds(slots)
        except Exception as error:
            if not out_of_memory(error):
                raise
            release_unused()
            break
        found[slots] = slots / took if took > 0 else math.inf
        earlier = [rate for few, rate in found.items() if few <= slots // 4]
        gained = max(found[slots], found.get(slots // 2, 0.0)) >= (1 + GAIN) * max(earlier, default=0.0)
        if took > PATIENCE or not gained:
            break
        slots *= 2
    return found


def smallest_near_best(found: Mapping[int, float]) -> int:
    """The fewest slots within 5 % of the best; 1 where not even one fitted, which the run itself will tell."""
    best = max(found.values(), default=0.0)
    return min((slots for slots, rate in found.items() if rate >= (1 - GAIN) * best), default=1)
