"""Weights for a network of a known system: another system's file is named and not only refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.plugins.weights.systems import known_system, system_of

if TYPE_CHECKING:
    from torch import Tensor, nn


def fit(model: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Give the tensors to the model, every one and nothing else.

    The model takes the tensors themselves (their type and device), so it may have been built on the meta device.

    Raises:
        WeightsError: naming the first missing, extra or misshapen tensor of each kind and their counts, and the system
            that the tensors look like where that is another.
    """
    check_layout({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tensors, where)
    model.load_state_dict(dict(tensors), strict=True, assign=True)


def check_layout(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], where: object) -> None:
    """Compare names and shapes with those of a network.

    Raises:
        WeightsError: as `fit`.
    """
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted]
    other = [name for name in wanted if name in tensors and tuple(tensors[name].shape) != wanted[name]]
    faults = _count("missing", missing) + _count("unknown", extra)
    if other:
        name = other[0]
        faults.append(
            f"{len(other)} of another shape (first {name}: {tuple(tensors[name].shape)} where the network has "
            f"{wanted[name]})"
        )
    if faults:
        found = known_system(tensors)
        other_system = found is not None and found != known_system(wanted)
        reason = f"they look like {found}'s" if other_system else "config and weights disagree"
        raise WeightsError(f"{where}: not the weights of this network: {'; '.join(faults)}; {reason}")


def _count(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    return [f"{len(names)} {what} tensor{'s' if len(names) > 1 else ''} (first {names[0]})"] if names else []


def _brief(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__


def fit_system(system: str, network: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Give the tensors to the network of a system, every one and nothing else (see `odekit.plugins.weights.fit.fit`).

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
