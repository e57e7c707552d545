"""From the option `weights` of an upsampler to a file: a registered name, or the path of a file of one's own."""

from __future__ import annotations

from pathlib import Path

from odekit.errors import WeightsError
from odekit.interfaces import Tools
from odekit.safeload import PICKLED, sha256

SUFFIXES = (".safetensors", *PICKLED)


def weights_file(weights: str, tools: Tools | None) -> Path:
    """The file of named weights; a text with a slash or the ending of a weights file is a path.

    Raises:
        WeightsError: unknown name, or nothing there.
    """
    if "/" in weights or "\\" in weights or weights.endswith(SUFFIXES):
        path = Path(weights).expanduser()
        if not path.is_file():
            raise WeightsError(f"{weights}: there is no such weights file; check the path")
        used = getattr(tools, "used", None)
        if isinstance(used, dict):  # for the record: a path alone does not say which file it was
            used[weights] = sha256(path)
        return path
    if tools is not None:
        return Path(tools.weights(weights))
    from odekit.registry import catalog
    from odekit.weights import path_of

    return Path(path_of(weights, catalog()))
