"""Read a pickle of nested mappings of numpy arrays, as JAX libraries store their weights, without running its code."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import WeightsError
from odekit.plugins.weights.load import MAX_SHARING

ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
}
"""What a pickle of arrays refers to, as (module, name)."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"refers to {module}.{name}")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, by their keys joined with dots.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything besides nested mappings of numeric arrays.
    """
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file).load()
        arrays = dict(_flattened(content, ()))
        if sum(array.nbytes for array in arrays.values()) > MAX_SHARING * path.stat().st_size:
            raise pickle.UnpicklingError("its arrays are larger than the file")
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such weights file") from error
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: refused, because this pickle holds more than arrays ({error})") from error
    except Exception as error:
        raise WeightsError(f"{path}: damaged, or no pickle of arrays ({error})") from error
    return arrays


def _flattened(content: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flattened(value, (*keys, str(key)))
    elif isinstance(content, np.ndarray) and content.dtype.kind in "fiu":
        yield ".".join(keys), content
    else:
        raise pickle.UnpicklingError(f"{'.'.join(keys) or 'the content'} is a {type(content).__name__}")
