"""What a visitor chooses, and what is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import odekit
from odekit.core.text import given

CHAIN = "photo"
STRENGTHS = ("auto", "none", "light", "medium", "heavy")
SCRATCHES = ("as the chain does", "fill", "leave")
MAX_FILE_MB = 50
MAX_FILE_BYTES = MAX_FILE_MB * 2**20
"""Gradio counts megabytes in this way when it refuses a file."""
MAX_MEGAPIXELS = 50.0
MAX_PHOTOS = 200
"""In one visit."""
NAME = re.compile(r"[\w-]{1,60}")
"""Of a chain; a longer one could not be looked up as a file."""
Scratches = Literal["as the chain does", "fill", "leave"]


@dataclass(frozen=True)
class Settings:
    """A chain and what was changed in it. Values come from outside and are checked by `chain_of`."""

    chain: str = CHAIN
    strength: str = "auto"
    fidelity: float | None = None
    """0 (faithful) to 1 (realistic); None: as the chain does. It acts where the strength is not auto."""
    scratches: str = SCRATCHES[0]


def chain_of(settings: Settings) -> odekit.Chain:
    """The chain of the settings.

    Raises:
        ConfigError: no such chain or strength, a number out of range, or the chain has no such option.
    """
    check(settings)
    name = settings.chain
    changes: dict[str, str] = {}
    if settings.fidelity is not None:
        changes["fidelity"] = f"restore.fidelity={float(settings.fidelity)}"
    if settings.scratches != SCRATCHES[0]:
        changes["scratches"] = f"mend.scratches={'true' if settings.scratches == 'fill' else 'false'}"
    plain = odekit.Chain.load(name)
    for choice, change in changes.items():
        try:
            odekit.Chain.load(name, [change])
        except odekit.ConfigError as error:
            raise odekit.ConfigError(
                f"{choice}: the chain '{name}' has no such choice; choose one such as photo"
            ) from error
    return (odekit.Chain.load(name, list(changes.values())) if changes else plain).adjusted(settings.strength)


def check(settings: Settings) -> None:
    """The types and ranges of settings; whether the chain has such options, `chain_of` says.

    Raises:
        ConfigError: a value is refused.
    """
    name, fidelity = settings.chain, settings.fidelity
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise odekit.ConfigError(f"chain {given(name)}: choose a name, such as photo; files are not read")
    if name not in odekit.catalog().chains and Path(name).exists():
        raise odekit.ConfigError(f"chain {given(name)}: there is no such chain, and files are not read")
    if settings.strength not in STRENGTHS:
        raise odekit.ConfigError(f"strength {given(settings.strength)}: choose {', '.join(STRENGTHS)}")
    if settings.scratches not in SCRATCHES:
        raise odekit.ConfigError(f"scratches {given(settings.scratches)}: choose {', '.join(SCRATCHES)}")
    number = isinstance(fidelity, (int, float)) and not isinstance(fidelity, bool)
    if fidelity is not None and not (number and 0 <= fidelity <= 1):
        raise odekit.ConfigError(f"fidelity {given(fidelity)}: choose a number from 0 to 1")


def chain_names() -> list[str]:
    """The chains that are installed, the usual one first."""
    return [CHAIN, *(name for name in sorted(odekit.catalog().chains) if name != CHAIN)]


def finds_faces(chain: odekit.Chain) -> bool:
    """Whether faces are found in whole photographs."""
    return any(item.name == "faces" for item in chain.spec.items)


def fills(chain: odekit.Chain) -> bool:
    """Whether a mask that was drawn is of use."""
    return any(item.name == "mend" for item in chain.spec.items)
