"""The `tools` that factories of parts are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from odekit.core.interfaces import Prior, SubChain
from odekit.core.options import Part
from odekit.core.precision import stored
from odekit.errors import ConfigError
from odekit.plugins.catalog import Catalog
from odekit.plugins.weights.lookup import digest_of, path_of, require

WITHOUT_TOOLS = ("solver", "enhancer", "corruption")
"""Kinds of pure mathematics, made by `factory(options)`; the others are made by `factory(options, tools)`."""


class Toolbox:
    """Tools for parts outside a chain: weights, device, precision. See `odekit.core.interfaces.Tools`."""

    aligned = False

    def __init__(
        self,
        catalog: Catalog,
        device: str,
        precision: str,
        prior: Prior | None = None,
        used: dict[str, str] | None = None,
    ) -> None:
        self.catalog = catalog
        self.device = device
        self.precision = stored(precision)
        self.given = prior
        self.used: dict[str, str] = {} if used is None else used
        """SHA-256 of the weights that were asked for, by name or path."""

    def weights(self, name: str) -> Any:
        """The verified local path of named weights."""
        path = path_of(name, self.catalog)
        self.used[name] = digest_of(name, self.catalog)
        return path

    def require(self, names: Sequence[str]) -> None:
        """See to it that all these weights are here. Raises WeightsError that names every absent one."""
        require(names, self.catalog)

    def make(self, part: Part, prior: Prior | None = None) -> Any:
        """Build a part; `prior` is what its `tools.prior()` gives."""
        factory = self.catalog.get(part.kind, part.name).load()
        if part.kind in WITHOUT_TOOLS:
            return factory(part.options)
        tools = self if prior is None else Toolbox(self.catalog, self.device, self.precision, prior, self.used)
        return factory(part.options, tools)

    def prior(self, name: str | None = None) -> Prior:
        """The prior that the part was handed. Raises ConfigError where there is none."""
        if self.given is None:
            raise ConfigError("this part needs a prior, and stands outside a stage that has one")
        return self.given

    def chain(self, items: Sequence[Part], *, aligned: bool = False) -> SubChain:
        """Tools outside a chain hold no sub-chains. Raises ConfigError."""
        raise ConfigError(
            "these tools belong to no chain, so there is no sub-chain; open the chain that holds the stage"
        )
