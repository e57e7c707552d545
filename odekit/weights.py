"""Weight names -> verified local files. Nothing is downloaded at import or without being asked."""

from __future__ import annotations

import hashlib
from pathlib import Path

from odekit.errors import WeightsError
from odekit.registry import Catalog, Weights, nearest


def find(name: str, catalog: Catalog) -> Weights:
    """Registered weights by name. Raises WeightsError with the nearest name."""
    if name not in catalog.stores:
        raise WeightsError(f"unknown weights '{name}'{nearest(name, catalog.stores)}")
    return catalog.stores[name]


def path_of(name: str, catalog: Catalog) -> Path:
    """The local file or folder of named weights, its SHA-256 checked where one is registered.

    Raises:
        WeightsError: unknown, absent, or another file than the registered one.
    """
    store = find(name, catalog)
    if store.path is None or not store.path.exists():
        raise WeightsError(f"the weights '{name}' are not on this machine (expected at {store.path})")
    file = weights_file(store.path)
    if store.sha256 is not None and digest(file) != store.sha256:
        raise WeightsError(
            f"{file} is not the registered file of '{name}' (its SHA-256 differs); install {store.dist} again"
        )
    return store.path


def weights_file(path: Path) -> Path:
    """The file that holds the tensors: the path itself, or the safetensors file in a folder."""
    return path if path.is_file() else path / "diffusion_pytorch_model.safetensors"


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        sha = hashlib.sha256()
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
