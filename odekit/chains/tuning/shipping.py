"""Measures precisions of a prior for the file that ships with its weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.plan import all_parts
from odekit.chains.tuning.precision import load_prior, measure_precisions, prior_digest, reduced_precisions
from odekit.chains.tuning.precision_choice import shipped_entry
from odekit.core.files import read_json, write_json
from odekit.errors import ConfigError

KEY = ("weights", "processor", "torch")
"""What an entry is valid for."""


def measure_for_shipping(chain: Chain, out: Path) -> dict[str, Any]:
    """Measure the first prior of a chain on this CPU, and write the choice to a file; other entries of it stay.

    Returns:
        The entry that was written.

    Raises:
        ConfigError: the chain has no prior with weights, this processor has no precision to choose from, or a
            speed-up is within the noise of the measurement.
    """
    device = "cpu"
    for part in all_parts(chain.spec):
        digest = prior_digest(part, chain.parts) if part.kind == "prior" else None
        if digest is not None:
            break
    else:
        raise ConfigError(f"chain {chain.spec.name}: no prior with weights, so there is nothing to measure")
    precisions = reduced_precisions(device)
    if not precisions:
        raise ConfigError("this processor has no 16-bit arithmetic, so it always uses float32")
    choice = measure_precisions(partial(load_prior, part, device, chain.parts), device, precisions)
    if not choice.clear:
        raise ConfigError("the speed-up is within the noise of the measurement; measure again when the machine is idle")
    entry = shipped_entry(choice, digest, device)
    found = read_json(out)
    before = found.get("choices", []) if isinstance(found, dict) else []
    others = [one for one in before if isinstance(one, dict) and any(one.get(name) != entry[name] for name in KEY)]
    write_json(out, {"choices": [*others, entry]})
    return entry
