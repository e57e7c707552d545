"""Options that refer to a part: by its name, by its options, or as an object that follows the interface.

`SolverRef` and the like are for option models of plugins; type checkers take any value for them. `SolverChoice` and the
like are the same for a run, and type checkers refuse what is no reference to such a part. Their default is given by
`named`: `solver: SolverChoice = named("ddim")`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from odekit.core.option_docs import RefersTo
from odekit.core.options import Options, Part

Interface = TypeVar("Interface")

PriorRef = Annotated[Any, RefersTo("prior")]
"""The type of an option for a prior: its name, its options, or an object."""
SolverRef = Annotated[Any, RefersTo("solver")]
"""The type of an option for a solver: its name, its options, or an object."""
InverterRef = Annotated[Any, RefersTo("inverter")]
"""The type of an option for an inverter: its name, its options, or an object."""
EnhancerRef = Annotated[Any, RefersTo("enhancer")]
"""The type of an option for an enhancer: its name, its options, or an object."""
UpsamplerRef = Annotated[Any, RefersTo("upsampler")]
"""The type of an option for an upsampler: its name, its options, or an object."""
DetectorRef = Annotated[Any, RefersTo("detector")]
"""The type of an option for a detector: its name, its options, or an object."""
MaskRef = Annotated[Any, RefersTo("mask")]
"""The type of an option for a mask: its name, its options, or an object."""
ChainRef = Annotated[Any, RefersTo("chain")]
"""The type of an option for the stages of a sub-chain."""

if TYPE_CHECKING:
    from odekit.core import interfaces

    PartLike = str | Mapping[str, Any] | Options | Part

    class PartChoice(Generic[Interface]):
        """An option that takes a reference to a part, and holds the `Part` once the chain is resolved."""

        def __get__(self, instance: object, owner: Any) -> Any: ...

        def __set__(self, instance: object, value: PartLike | Interface) -> None: ...

    class ChainChoice:
        """An option that takes the stages of a sub-chain."""

        def __get__(self, instance: object, owner: Any) -> Any: ...

        def __set__(self, instance: object, value: Sequence[PartLike | interfaces.Stage] | None) -> None: ...

    SolverChoice = PartChoice[interfaces.Solver]
    InverterChoice = PartChoice[interfaces.Inverter]
    EnhancerChoice = PartChoice[interfaces.Enhancer]
    UpsamplerChoice = PartChoice[interfaces.Upsampler]
    DetectorChoice = PartChoice[interfaces.FaceDetector]
    MaskChoice = PartChoice[interfaces.FaceMask]
else:
    SolverChoice, InverterChoice, EnhancerChoice = SolverRef, InverterRef, EnhancerRef
    UpsamplerChoice, DetectorChoice, MaskChoice, ChainChoice = UpsamplerRef, DetectorRef, MaskRef, ChainRef


def named(default: Any) -> Any:
    """The default of an option that refers to a part: its name."""
    return default
