"""The `tools` argument of part factories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from odekit.core.device import is_out_of_memory
from odekit.core.interfaces import Prior, SubChain
from odekit.core.interrupts import stray_interrupts
from odekit.core.options import Part
from odekit.core.precision import storage_type
from odekit.errors import PLUGIN_FAULTS, ConfigError, OdekitError, PluginError, fault_text
from odekit.plugins.catalog import BUILT_IN, Catalog
from odekit.plugins.weights.lookup import digest_of_weights, require_weights, verified_path

KINDS_WITHOUT_TOOLS = ("solver", "enhancer", "corruption")
"""Kinds of parts that need no tools: created by `factory(options)`. All others: `factory(options, tools)`."""


class PartTools:
    """Tools for parts outside a chain: weights, device, precision. See `odekit.core.interfaces.Tools`.

    Args:
        catalog: of parts and weights.
        device: resolved name of the device.
        precision: of the networks.
        prior: returned by `prior()`.
        used: receives the SHA-256 of all requested weights.
    """

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
        self.precision, self.prior_precision = storage_type(precision), precision
        self.fixed_prior = prior
        self.used: dict[str, str] = {} if used is None else used
        """SHA-256 of the weights requested so far, by name or path."""

    def weights(self, name: str) -> Any:
        """Verified local path of named weights. Raises WeightsError if they are missing or damaged."""
        path = verified_path(name, self.catalog)
        self.used[name] = digest_of_weights(name, self.catalog)
        return path

    def require(self, names: Sequence[str]) -> None:
        """Check that all these weights are present. Raises WeightsError that names all missing ones."""
        require_weights(names, self.catalog)

    def make(self, part: Part, prior: Prior | None = None) -> Any:
        """Create a part; its `tools.prior()` returns `prior` if given.

        Raises:
            PluginError: the part of a plugin cannot be imported or created.
        """
        entry = self.catalog.entry_of(part)
        factory = entry.load()
        tools = self if prior is None else PartTools(self.catalog, self.device, self.prior_precision, prior, self.used)
        try:
            with stray_interrupts():
                return factory(part.options) if part.kind in KINDS_WITHOUT_TOOLS else factory(part.options, tools)
        except PLUGIN_FAULTS as error:
            if isinstance(error, OdekitError) or entry.dist == BUILT_IN or is_out_of_memory(error):
                raise
            raise PluginError(
                f"the {part.kind} '{part.name}' of {entry.dist} cannot be created ({fault_text(error)})"
            ) from error

    def prior(self, name: str | None = None) -> Prior:
        """The prior passed to this object. Raises ConfigError if there is none."""
        if self.fixed_prior is None:
            raise ConfigError("this part needs a prior, but is used outside a stage that has one")
        return self.fixed_prior

    def chain(self, items: Sequence[Part], *, aligned: bool = False) -> SubChain:
        """Not supported outside a chain: raises ConfigError."""
        raise ConfigError("sub-chains are available in an open chain only; open the chain that contains the stage")
