"""The kinds of damage by name, and `corrupt`, which applies one of them. Importing this loads only numpy."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

import numpy as np

from odekit.core.spelling import nearest
from odekit.errors import ConfigError, InputError
from odekit.parts.corruptions import tables
from odekit.parts.corruptions.primitives import Pixels

Table: TypeAlias = Literal["auto", "64", "224"]
"""Which parameters to use: those published for 64-pixel or 224-pixel pictures, or `auto`: 64 up to 64 pixels."""

_MODULES = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur": ("defocus_blur", "zoom_blur", "gaussian_blur"),
    "glass": ("glass_blur",),
    "motion": ("motion_blur",),
    "weather": ("snow", "fog"),
    "frost": ("frost",),
    "spatter": ("spatter",),
    "digital": ("brightness", "contrast", "pixelate", "jpeg", "saturate"),
    "elastic": ("elastic",),
    "masks": ("mask_pixels", "mask_lines", "mask_gaussian"),
    "old_photo": ("scratches", "stains"),
}
_HOME = {kind: module for module, kinds in _MODULES.items() for kind in kinds}

IMAGENET_KINDS: tuple[str, ...] = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic", "pixelate", "jpeg",
    "speckle_noise", "gaussian_blur", "spatter", "saturate",
)  # fmt: skip
"""The 15 kinds of ImageNet-C and its 4 extra ones."""
MASK_KINDS: tuple[str, ...] = ("mask_pixels", "mask_lines", "mask_gaussian")
OLD_PHOTO_KINDS: tuple[str, ...] = ("scratches", "stains")
KINDS: tuple[str, ...] = IMAGENET_KINDS + MASK_KINDS + OLD_PHOTO_KINDS
"""All kinds of `corrupt`."""
PAPER_KINDS: tuple[str, ...] = tuple(
    kind for kind in IMAGENET_KINDS + MASK_KINDS if kind not in ("zoom_blur", "defocus_blur")
)
"""The 20 kinds of the ODEdit paper's experiment."""
SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)
TABLES: tuple[str, ...] = ("auto", "64", "224")


def corrupt(
    pixels: Pixels,
    kind: str,
    severity: int,
    rng: np.random.Generator,
    table: Table = "auto",
    **options: Any,
) -> Pixels:
    """Apply one kind of damage to a picture.

    Args:
        pixels: uint8 (H, W, 3), sRGB-encoded RGB; not modified.
        kind: one of KINDS.
        severity: 1 (mild) to 5 (severe).
        rng: the picture's generator; the same state gives the same damage. No other generator is used.
        table: which published parameters; see `Table`.
        options: parameters by name that replace those of the table (see `tables.PARAMETER_NAMES`), and further
            options of the kind's function, such as `colour` of the masks or `folder` of frost.

    Returns:
        uint8 (H, W, 3), a new array.

    Raises:
        ConfigError: unknown kind or option (the message suggests the nearest name); severity or value out of range.
        InputError: pixels are not uint8 (H, W, 3), or there are none.
    """
    function, arguments = _function_and_options(kind, severity, options)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        shape = getattr(pixels, "shape", type(pixels).__name__)
        raise InputError(f"{kind} needs uint8 (H, W, 3), not {getattr(pixels, 'dtype', '')} {shape}; convert it first")
    if pixels.size == 0:
        raise InputError(f"{kind} needs a picture of one pixel or more, not {pixels.shape}")
    return function(pixels, rng, **(tables.parameters(kind, severity, uses_small_table(pixels, table)) | arguments))


def corrupt_chain(
    pixels: Pixels, steps: Iterable[tuple[str, int]], rng: np.random.Generator, table: Table = "auto"
) -> Pixels:
    """Apply several kinds of damage to a picture in order, with one generator.

    Args:
        pixels: as for `corrupt`.
        steps: (kind, severity) of each step.
        rng: the picture's generator.
        table: which published parameters; see `Table`.

    Raises:
        ConfigError: as `corrupt`; all steps are checked before the first is applied.
    """
    steps = list(steps)
    for kind, severity in steps:
        check_corruption(kind, severity)
    for kind, severity in steps:
        pixels = corrupt(pixels, kind, severity, rng, table)
    return pixels


def check_corruption(kind: str, severity: int, **options: Any) -> None:
    """Check the arguments of `corrupt` before any picture is read.

    Raises:
        ConfigError: they are not valid.
    """
    _function_and_options(kind, severity, options)


def uses_small_table(pixels: Pixels, table: Table | int) -> bool:
    """Whether the 64-pixel parameters apply. Raises ConfigError for an unknown table."""
    name = str(table)
    if name not in TABLES:
        raise ConfigError(f"unknown table '{name}'{nearest(name, TABLES)}")
    return max(pixels.shape[:2]) <= 64 if name == "auto" else name == "64"


@functools.cache
def option_names(kind: str) -> tuple[str, ...]:
    """The names of all options of a kind, the parameters of the tables first."""
    return tuple(
        name
        for name, value in inspect.signature(_function(kind)).parameters.items()
        if value.kind is inspect.Parameter.KEYWORD_ONLY
    )


def _function(kind: str) -> Callable[..., Pixels]:
    """The function of a kind; its module is imported on first use."""
    if kind not in _HOME:
        raise ConfigError(f"unknown corruption '{kind}'{nearest(str(kind), KINDS)}")
    function: Callable[..., Pixels] = getattr(importlib.import_module(f"odekit.parts.corruptions.{_HOME[kind]}"), kind)
    return function


def _function_and_options(
    kind: str, severity: int, options: dict[str, Any]
) -> tuple[Callable[..., Pixels], dict[str, Any]]:
    """The function of a kind, and its options after their checks."""
    function = _function(kind)
    try:
        number = operator.index(severity)
    except TypeError:
        number = 0
    if number not in SEVERITIES or isinstance(severity, bool):
        raise ConfigError(f"severity {severity!r} of '{kind}' is not a whole number from 1 (mild) to 5 (severe)")
    names = option_names(kind)
    return function, {name: _value(kind, name, value, names) for name, value in options.items()}


def _value(kind: str, name: str, value: Any, names: Iterable[str]) -> Any:
    """The value of an option after its checks."""
    if name not in names:
        raise ConfigError(f"'{kind}' has no option '{name}'{nearest(name, names)}")
    if name == "colour":
        return importlib.import_module("odekit.parts.corruptions.masks").checked_colour(value)
    if name == "per_channel":
        if not isinstance(value, bool):
            raise ConfigError(f"per_channel={value!r} of '{kind}' is not true or false")
        return value
    if name == "folder":
        return (
            value if value is None else importlib.import_module("odekit.parts.corruptions.frost").checked_folder(value)
        )
    if name == "angle" and value is None:
        return value
    low, high = tables.LIMITS.get(name, (0.0, 1e4))
    whole = name in tables.INTEGER_PARAMETERS
    finite = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
    if not finite or not low <= value <= high or (whole and value != int(value)):
        expected = "a whole number" if whole else "a number"
        raise ConfigError(f"{name}={value!r} of '{kind}' is not {expected} from {low:g} to {high:g}")
    return int(value) if whole else float(value)
