"""Weights for a network of a known system: another system's file is named and not only refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.safeload import fit
from odekit.systems import SYSTEMS as SYSTEMS
from odekit.systems import system_of as system_of

if TYPE_CHECKING:
    from torch import Tensor, nn


def fit_system(system: str, network: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Give the tensors to the network of a system, every one and nothing else (see `odekit.safeload.fit`).

    Raises:
        WeightsError: weights of another system, which is named; or missing, unknown or misshapen tensors.
    """
    try:
        fit(network, tensors, where)
    except WeightsError as error:
        raise other_system(system, tensors, where) or error from None


def other_system(system: str, tensors: Mapping[str, object], where: object) -> WeightsError | None:
    """The error that names whose weights these are, where they are recognised as another system's."""
    found = system_of(tensors)
    if found is None or found == system:
        return None
    return WeightsError(f"{where}: these are weights of {found}, not of {system}; give the file of {system}")
