"""What a person chooses in a node, checked here: ComfyUI does not check the values of V3 nodes that come by its API."""

from __future__ import annotations

import re
from dataclasses import dataclass

import odekit

STRENGTHS = ("auto", "none", "light", "medium", "heavy")
PHOTO, ALIGNED = "photo", "odedit-plus"
"""The chains that the nodes offer first."""


@dataclass(frozen=True)
class ChainChoice:
    """A chain with what was changed in it: what *Load Chain* passes to the other nodes."""

    chain: str
    strength: str = "auto"
    settings: tuple[str, ...] = ()
    """As after `--set`: `path=value`."""

    def load(self) -> odekit.Chain:
        """The chain.

        Raises:
            ConfigError: no such chain, strength or option; the message names the nearest.
        """
        if not isinstance(self.chain, str) or not re.fullmatch(r"[\w-]+", self.chain):
            raise odekit.ConfigError(
                f"chain {self.chain!r}: choose a name, such as photo or odedit-plus; files are not read"
            )
        if self.strength not in STRENGTHS:
            raise odekit.ConfigError(f"strength {self.strength!r}: choose {', '.join(STRENGTHS)}")
        return odekit.Chain.load(self.chain, self.settings).adjusted(self.strength)


def chain_names(first: str) -> list[str]:
    """The chains that are installed, the usual one of a node first."""
    return [first, *(name for name in sorted(odekit.catalog().chains) if name != first)]


def settings_of(text: str) -> tuple[str, ...]:
    """The lines of a text, each `path=value`, as settings; empty lines and those that begin with # are left out.

    Raises:
        ConfigError: a line without `=`.
    """
    lines = [line.strip() for line in text.splitlines()]
    settings = tuple(line for line in lines if line and not line.startswith("#"))
    for line in settings:
        if "=" not in line:
            raise odekit.ConfigError(f"settings: {line!r} is not path=value, such as faces.paste.detail=0")
    return settings
