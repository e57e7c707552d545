"""Load tensors into a network, with an error that names the other network if the file belongs to one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.plugins.weights.systems import system_from_names, system_of

if TYPE_CHECKING:
    from torch import Tensor, nn


def fit(model: nn.Module, tensors: Mapping[str, Tensor], source: object) -> None:
    """Load all tensors into the model; names and shapes must match exactly.

    The tensors replace the parameters (with their type and device), so the model may be on the meta device.

    Args:
        model: the network.
        tensors: its parameters and buffers by name.
        source: the path or another name of the tensors, for error messages.

    Raises:
        WeightsError: names the first missing, unknown or wrongly shaped tensor and their counts, and the system that
            the tensors belong to if it is another one.
    """
    check_layout({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tensors, source)
    model.load_state_dict(dict(tensors), strict=True, assign=True)


def check_layout(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], source: object) -> None:
    """Compare the names and shapes of tensors with those of a network.

    Raises:
        WeightsError: see `fit`.
    """
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    misshapen = [name for name in expected if name in tensors and tuple(tensors[name].shape) != expected[name]]
    faults = _count("missing", missing) + _count("unknown", extra)
    if misshapen:
        name = misshapen[0]
        faults.append(
            f"{len(misshapen)} of another shape (first {name}: {tuple(tensors[name].shape)} where the network has "
            f"{expected[name]})"
        )
    if faults:
        system = system_from_names(tensors)
        is_other_system = system is not None and system != system_from_names(expected)
        reason = f"they look like {system}'s" if is_other_system else "config and weights disagree"
        raise WeightsError(f"{source}: not the weights of this network: {'; '.join(faults)}; {reason}")


def _count(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    return [f"{len(names)} {what} tensor{'s' if len(names) > 1 else ''} (first {names[0]})"] if names else []


def fit_system(system: str, network: nn.Module, tensors: Mapping[str, Tensor], source: object) -> None:
    """Like `fit`, for the network of a system in `SYSTEMS`.

    Raises:
        WeightsError: weights of another system, which is named; or missing, unknown or wrongly shaped tensors.
    """
    try:
        fit(network, tensors, source)
    except WeightsError as error:
        raise other_system(system, tensors, source) or error from None


def other_system(system: str, tensors: Mapping[str, object], source: object) -> WeightsError | None:
    """The error that names the system of these tensors, if they are recognised as another one than `system`."""
    actual = system_of(tensors)
    if actual is None or actual == system:
        return None
    return WeightsError(f"{source}: these are weights of {actual}, not of {system}; give the file of {system}")
