"""Everything that reaches a node, checked here: ComfyUI does not check the values of V3 nodes that come by its API.

Each message names the input and says what it may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import odekit
from odekit.core.console_advice import without_console_advice
from odekit.core.text import MOST_GIVEN, given

STRENGTHS = ("auto", "none", "light", "medium", "heavy")
MAX_SEED = 2**63 - 1
CHANNELS = (1, 3, 4)
OVERSHOOT = 0.25
"""How far the values of other nodes may leave [0, 1]; bicubic resizing does by a little."""
SQUARE = 0.05
"""By how much the sides of an aligned face may differ."""
FAMILY = (
    odekit.ConfigError, odekit.InputError, odekit.WeightsError, odekit.PluginError, odekit.OutputError,
    odekit.DeviceError, odekit.OdekitError,
)  # fmt: skip
NAME = re.compile(r"[\w-]{1,60}")
"""Of a chain; a longer one could not be looked up as a file."""
MOST_WORDS = 600
"""Characters of a message."""
INSTALLING = re.compile(r"\bpip (?:install|download)\b|\bodekit weights\b")


@contextmanager
def node_errors() -> Iterator[None]:
    """Raises errors again in the words of a node: without commands to type."""
    try:
        yield
    except odekit.OdekitError as error:
        message = str(error)
        who = "; who runs this ComfyUI can install what is missing" if INSTALLING.search(message) else ""
        kind = next(kind for kind in FAMILY if isinstance(error, kind))
        raise kind(without_console_advice(message, settings=True) + who) from error


def check_chain_name(name: Any) -> None:
    """A name of a chain; whether there is such a chain is known when it is loaded."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise odekit.ConfigError(
            f"chain {given(name)}: choose a name, such as photo or odedit-plus; files are not read"
        )
    if name not in odekit.catalog().chains and Path(name).exists():
        raise odekit.ConfigError(f"chain {given(name)}: there is no such chain, and files are not read")


def check_strength(strength: Any) -> None:
    """One of the strengths."""
    if not isinstance(strength, str) or strength not in STRENGTHS:
        raise odekit.ConfigError(f"strength {given(strength)}: choose {', '.join(STRENGTHS)}")


def check_settings(text: Any) -> tuple[str, ...]:
    """The lines of a text, each `path=value`; empty lines and those that begin with # are left out."""
    if not isinstance(text, str):
        raise odekit.ConfigError(f"settings: {type(text).__name__} is no text; write a line path=value for each option")
    lines = [line.strip() for line in text.splitlines()]
    settings = tuple(line for line in lines if line and not line.startswith("#"))
    for line in settings:
        if "=" not in line:
            raise odekit.ConfigError(f"settings: {given(line)} is not path=value, such as faces.paste.detail=0")
        path = line.partition("=")[0].strip()
        if path.startswith(("chain.", "chain[")) or path == "chain":
            raise odekit.ConfigError(
                f"settings: {given(line)}: stages cannot be exchanged here; name one, such as faces.paste.detail=0"
            )
        if path and not all(path.split(".")):
            raise odekit.ConfigError(f"settings: {given(line)}: a name beside a point is missing")
    return settings


def check_seed(seed: Any) -> int:
    """The seed of the noise."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise odekit.ConfigError(f"seed {given(seed)}: give a whole number from 0 to {MAX_SEED}")
    return seed


def check_image(image: Any) -> torch.Tensor:
    """A batch of pictures, float32 (B, H, W, C) in [0, 1]."""
    if not isinstance(image, torch.Tensor):
        raise odekit.InputError(f"image: {_kind(image)} is no picture; connect an output of the type IMAGE")
    check_values(image, "image")
    size = sizes(image)
    if image.ndim != 4 or not image.numel() or image.shape[3] not in CHANNELS:
        raise odekit.InputError(
            f"image: a batch of {size} has no pictures to restore; its form is pictures x height x width x 3"
        )
    if not image.is_floating_point():
        raise odekit.InputError(f"image: values of the type {_dtype(image)}; give floats from 0 to 1")
    pictures = image.detach().float()
    for number, picture in enumerate(pictures, 1):
        low, high = picture.min().item(), picture.max().item()  # NaN if one value is
        if not (low > -OVERSHOOT and high < 1 + OVERSHOOT):
            there = f"from {low:g} to {high:g}" if low > -float("inf") and high < float("inf") else "NaN or infinite"
            raise odekit.InputError(f"image: {place(number, len(pictures))}values {there}; give floats from 0 to 1")
    return pictures.clamp(0, 1)


def check_values(tensor: torch.Tensor, name: str) -> None:
    """Raise InputError for a tensor whose values cannot be read as they are."""
    if tensor.device.type == "meta":
        raise odekit.InputError(f"{name}: a tensor on the device meta has no values; give one on the CPU or a GPU")
    if tensor.layout != torch.strided:
        raise odekit.InputError(f"{name}: a sparse tensor; give a dense one")


def check_loaded_chain(loaded: Any, kind: type) -> None:
    """What *Load Chain* gives, or nothing."""
    if loaded is not None and not isinstance(loaded, kind):
        raise odekit.ConfigError(
            f"loaded_chain: {_kind(loaded)} is no chain; connect the output of Load Chain (odekit)"
        )


def check_scratches(mask: Any, image: torch.Tensor, chain: odekit.Chain) -> list[Any]:
    """One mask (H, W) for each picture, float32; none where nothing is marked.

    An empty mask of 64 x 64, as ComfyUI loads of pictures without transparency, counts as none.
    """
    if mask is None:
        return []
    if not isinstance(mask, torch.Tensor):
        raise odekit.InputError(f"scratches: {_kind(mask)} is no mask; connect an output of the type MASK, or nothing")
    check_values(mask, "scratches")
    values = mask.detach().float()
    if bool(values.isnan().any()):
        raise odekit.InputError("scratches: values that are no numbers; give 1 where the picture is filled, else 0")
    if not bool((values > 0.5).any()):
        return []
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.shape[1:] != image.shape[1:3] or len(values) not in (1, len(image)):
        wanted = " x ".join(map(str, image.shape[:3]))
        raise odekit.InputError(f"scratches: a mask of {sizes(mask)} does not fit pictures of {wanted}")
    if "mend" not in stages(chain):
        raise odekit.ConfigError(
            f"scratches: the chain '{chain.spec.name}' fills none; choose one with the stage mend, such as photo, or "
            "disconnect the mask"
        )
    masks = values.cpu().numpy()
    return [masks[0 if len(masks) == 1 else number] for number in range(len(image))]


def check_square(image: torch.Tensor, chain: odekit.Chain) -> None:
    """Pictures for a chain that looks for no faces are square; whether they show a face, the chain says."""
    if "faces" in stages(chain):
        return
    height, width = image.shape[1:3]
    if abs(height - width) > SQUARE * max(height, width):
        raise odekit.InputError(
            f"image: {place(1, len(image))}{width} x {height} is not square; this node takes square pictures that one "
            "face fills, photographs go to Restore Faces (odekit)"
        )


def shortened(message: str, lines: Sequence[str]) -> str:
    """A message that may repeat lines of settings, with at most `MOST_GIVEN` characters of each."""
    for line in lines:
        for part in (line, line.partition("=")[2].strip(), line.partition("=")[0].strip()):
            if len(part) > MOST_GIVEN:
                message = message.replace(part, f"{part[: MOST_GIVEN - 3]}...")
    message = re.sub(rf"\S{{{MOST_GIVEN + 1},}}", lambda word: f"{word[0][: MOST_GIVEN - 3]}...", message)
    return message if len(message) <= MOST_WORDS else f"{message[: MOST_WORDS - 3]}..."


def sizes(tensor: torch.Tensor) -> str:
    """The sides of a tensor."""
    return " x ".join(map(str, tensor.shape)) or "one number"


def stages(chain: odekit.Chain) -> list[str]:
    """The names of the stages of a chain."""
    return [item.name for item in chain.spec.items]


def place(number: int, of: int) -> str:
    """Which picture a message is about, if there are several."""
    return f"picture {number} of {of}: " if of > 1 else ""


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r:.40}" if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
