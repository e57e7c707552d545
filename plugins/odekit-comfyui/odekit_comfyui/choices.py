"""What a person chooses in a node."""

from __future__ import annotations

import re
from dataclasses import dataclass

import odekit

from .checks import check_chain_name, check_strength, shortened

PHOTO, ALIGNED = "photo", "odedit-plus"
"""The chains that the nodes offer first."""


@dataclass(frozen=True)
class ChainChoice:
    """A chain with what was changed in it: what *Load Chain* passes to the other nodes. It is checked when it is made.

    Raises:
        ConfigError: the chain is no name, or the strength is unknown.
    """

    chain: str
    strength: str = "auto"
    settings: tuple[str, ...] = ()
    """Changed options: `path=value`."""

    def __post_init__(self) -> None:
        check_chain_name(self.chain)
        check_strength(self.strength)

    def load(self) -> odekit.Chain:
        """The chain.

        Raises:
            ConfigError: no such chain, strength or option; the message names the nearest.
        """
        chain = odekit.Chain.load(self.chain)
        if self.settings:
            try:
                chain = odekit.Chain.load(self.chain, self.settings)
            except odekit.ConfigError as error:
                file = odekit.catalog().chains.get(self.chain)
                message = re.sub(rf"^{re.escape(str(file))}:(?:\d+:\d+:)? *", "", str(error))
                raise odekit.ConfigError(f"settings: {shortened(message, self.settings)}") from error
        return chain.adjusted(self.strength)


def chain_names(first: str) -> list[str]:
    """The chains that are installed, the usual one of a node first."""
    return [first, *(name for name in sorted(odekit.catalog().chains) if name != first)]
