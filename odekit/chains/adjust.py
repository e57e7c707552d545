"""`--strength`, `--side`, `--max-identity-shift`: what a person chose, instead of what a chain does for each face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from odekit.chains.resolve import ChainSpec
from odekit.core.abilities import HasSide, HasStrength
from odekit.core.options import Options, Part, nested_option_models, part_fields
from odekit.errors import ConfigError
from odekit.plugins.catalog import BUILT_IN, Catalog

StrengthName = Literal["auto", "none", "light", "medium", "heavy"]
STRENGTHS: tuple[str, ...] = get_args(StrengthName)
OTHER = {strength: "light" if strength == "none" else "none" for strength in STRENGTHS}
"""For each strength another one."""
MIN_SIDE, MAX_SIDE = 16, 4096
FACE_STAGE, PHOTO_STAGE, KEEPS_IDENTITY = "restore", "faces", "keep-identity"
"""The stage whose input is an aligned face (a chain with it outside of `faces` is one of aligned faces), the one of
photographs, and the one that limits what they may change."""

Change = Callable[[Options], Options]


def with_strength(spec: ChainSpec, strength: str) -> ChainSpec:
    """The chain with every part that has strengths set to this one, in sub-chains too.

    Raises:
        ConfigError: an unknown strength, or no part of the chain has strengths.
    """
    if strength not in STRENGTHS:
        raise ConfigError(f"--strength {strength}: choose {', '.join(STRENGTHS)}")
    if strength == "auto":
        return spec
    changed = _changed(spec, lambda o: o.with_strength(strength) if isinstance(o, HasStrength) else o, chains=True)
    other = _changed(spec, lambda o: o.with_strength(OTHER[strength]) if isinstance(o, HasStrength) else o, chains=True)
    if changed == other:  # no part of it has strengths
        raise ConfigError(
            f"--strength {strength}: the chain '{spec.name}' treats every face alike; choose a chain such as "
            "odedit-plus or photo, or set restore.enhancer.iterations"
        )
    return changed


def with_side(spec: ChainSpec, side: int) -> ChainSpec:
    """The chain with results of this side in pixels.

    Raises:
        ConfigError: a side out of range, or the size of the chain's results is not an option.
    """
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise ConfigError(f"--side {side}: choose a number from {MIN_SIDE} to {MAX_SIDE}")
    changed = _changed(spec, lambda o: o.with_side(side) if isinstance(o, HasSide) else o, chains=False)
    other = _changed(spec, lambda o: o.with_side(side + 1) if isinstance(o, HasSide) else o, chains=False)
    if changed == other:  # no part of it has a side
        example = "" if spec.name == "odedit-plus" else ", as odedit-plus does"
        raise ConfigError(
            f"--side {side}: no upsampler of this chain has results of a side that can be chosen; --side is for "
            f"aligned faces and chains that end with face-guided{example}"
        )
    return changed


def with_identity_limit(spec: ChainSpec, limit: float, catalog: Catalog) -> ChainSpec:
    """The chain with the stage `keep-identity` after the last stage that treats faces; an earlier one is replaced.

    Raises:
        ConfigError: a limit out of range, or the chain treats no faces.
    """
    if not 0 <= limit <= 2:
        raise ConfigError(f"--max-identity-shift {limit:g}: choose a number from 0 to 2; the same person is below 0.45")
    options = catalog.get("stage", KEEPS_IDENTITY, (BUILT_IN,)).options.model_validate({"max_shift": limit})
    kept = Part("stage", KEEPS_IDENTITY, options)
    names = {item.name for item in spec.items}
    if PHOTO_STAGE in names:
        return replace(spec, items=tuple(_limited_faces(item, kept) for item in spec.items))
    if FACE_STAGE not in names:
        raise ConfigError(f"--max-identity-shift: the chain '{spec.name}' treats no faces")
    return replace(spec, items=_limited(spec.items, kept))


def _limited_faces(item: Part, kept: Part) -> Part:
    if item.name != PHOTO_STAGE:
        return item
    each = _limited(dict(item.options)["each"], kept)
    return replace(item, options=item.options.model_copy(update={"each": each}))


def _limited(items: Sequence[Part], kept: Part) -> tuple[Part, ...]:
    """The stages with `kept` at their end, before `save`."""
    others = [item for item in items if item.name != kept.name]
    end = len(others) - bool(others and others[-1].options.last)
    return (*others[:end], kept, *others[end:])


def _changed(spec: ChainSpec, change: Change, chains: bool) -> ChainSpec:
    return replace(spec, items=tuple(_part(item, change, chains) for item in spec.items))


def _part(part: Part, change: Change, chains: bool) -> Part:
    return replace(part, options=_options(part.options, change, chains))


def _options(options: Options, change: Change, chains: bool) -> Options:
    """Options after the change, in them and in all parts and option models inside; in sub-chains if `chains`."""
    changes: dict[str, Any] = {}
    for key, mark in part_fields(type(options)):
        value = getattr(options, key)
        if mark.kind == "chain" and value is not None and chains:
            changes[key] = tuple(_part(item, change, chains) for item in value)
        elif isinstance(value, Part):
            changes[key] = _part(value, change, chains)
    for key, _ in nested_option_models(type(options)):
        value = getattr(options, key)
        if isinstance(value, Options):
            changes[key] = _options(value, change, chains)
    changes = {key: value for key, value in changes.items() if value != getattr(options, key)}
    return change(options.model_copy(update=changes) if changes else options)
