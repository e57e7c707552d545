"""Weight names -> verified local files. Nothing is downloaded at import or without being asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from odekit.core.files import sha256
from odekit.core.interfaces import Tools
from odekit.core.spelling import nearest
from odekit.errors import WeightsError
from odekit.plugins.catalog import Catalog, Weights
from odekit.plugins.weights import store
from odekit.plugins.weights.load import PICKLED, check_complete
from odekit.plugins.weights.store import folder, size_text, stored

SUFFIXES = (".safetensors", *PICKLED)


def find(name: str, catalog: Catalog) -> Weights:
    """Registered weights by name. Raises WeightsError with the nearest name."""
    if name not in catalog.stores:
        raise WeightsError(f"unknown weights '{name}'{nearest(name, catalog.stores)}")
    return catalog.stores[name]


def is_path(weights: str) -> bool:
    """Whether an option `weights` is a file or folder of one's own: it has a slash or the ending of a weights file."""
    return "/" in weights or "\\" in weights or weights.endswith(SUFFIXES)


def path_of(name: str, catalog: Catalog) -> Path:
    """The local file or folder of named weights, verified.

    A file of the store is read for its SHA-256 when it comes in, and again whenever its size or time has changed.

    Raises:
        WeightsError: unknown, absent, or another file than the registered or remembered one; the message has the
            command that mends it.
    """
    weights = find(name, catalog)
    path = stored(weights)
    if not path.exists():
        raise WeightsError(missing_text([weights]))
    if weights.path is None:
        verify(weights, again=False)
    elif weights.sha256 is not None and sha256(tensors_file(path)) != weights.sha256:
        raise WeightsError(
            f"{tensors_file(path)} is not the registered file of '{name}' (its SHA-256 differs); "
            f"install {weights.dist} again"
        )
    return path


def verify(weights: Weights, again: bool = True) -> store.Receipt:
    """Hold a file of the store against its SHA-256; where none is published, against what it was when it came in.

    A file without a receipt (put there by hand) gets one.

    Args:
        weights: whose file is here.
        again: read the bytes even where size and time are as they were.

    Raises:
        WeightsError: it is another file.
    """
    file, place = stored(weights), folder(weights)
    known = store.read_receipt(place)
    if known is not None and not known.other and weights.sha256 not in (None, known.sha256):
        raise WeightsError(f"{file} is an older file than {weights.dist} wants; {how_to_get([weights])}")
    if known is not None and not again and known.unchanged(file):
        return known
    found = sha256(file)
    if known is None:
        if weights.sha256 not in (None, found):
            raise WeightsError(
                f"{file} is not the published file of '{weights.name}' (its SHA-256 is {found}, not {weights.sha256}); "
                f"{how_to_get([weights])}; for weights of your own: odekit weights add {weights.name} FILE --allow-other"
            )
        check_complete(file)
        known = store.new_receipt(file, found, "put there by hand")
    elif known.sha256 != found:
        raise WeightsError(
            f"{file} has changed since it came here on {known.when} (its SHA-256 is {found}, not {known.sha256}); "
            f"{how_to_get([weights])}"
        )
    with contextlib.suppress(OSError):  # a store that may only be read is fine
        store.write_receipt(place, known.seen(file))
    return known


def digest_of(name: str, catalog: Catalog) -> str:
    """SHA-256 of the file that `path_of` gave: the registered one, or that of the store's own file."""
    weights = find(name, catalog)
    known = None if weights.path is not None else store.read_receipt(folder(weights))
    return known.sha256 if known is not None else weights.sha256 or sha256(tensors_file(stored(weights)))


def is_present(weights: Weights) -> bool:
    """Whether the file of named weights exists on this machine (nothing is read)."""
    return stored(weights).exists()


def require(names: Iterable[str], catalog: Catalog) -> None:
    """See to it that all these weights are here, before any work is done.

    Args:
        names: registered names, or paths (see `is_path`).
        catalog: where the names are registered.

    Raises:
        WeightsError: a name that nobody knows, or weights that are missing, all of them in one message.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if is_path(name) and not Path(name).expanduser().exists():
            raise WeightsError(f"{name}: there is no such weights file; check the path")
    absent = [found for name in wanted if not is_path(name) and not is_present(found := find(name, catalog))]
    if absent:
        raise WeightsError(missing_text(absent))


def missing_text(absent: list[Weights]) -> str:
    """What to say where weights are not here, with the commands that mend it."""
    what = " and ".join(f"'{w.name}' ({licence_text(w)})" for w in absent)
    return f"the weights {what} {'are' if len(absent) == 1 else 'are all'} not on this machine; {how_to_get(absent)}"


def licence_text(weights: Weights) -> str:
    """Licence and size in a few words."""
    use = "" if weights.commercial_use or "non-commercial" in weights.licence.lower() else ", non-commercial"
    return f"{weights.licence}{use}" + (f", {size_text(weights.size)}" if weights.size else "")


def how_to_get(absent: list[Weights]) -> str:
    """The commands that bring weights here."""
    if any(w.path is not None for w in absent):
        return "; ".join(f"install {w.dist} again" for w in absent if w.path is not None)
    fetched = " ".join(w.name for w in absent if w.urls)
    by_hand = [f"odekit weights add {w.name} FILE" for w in absent]
    pull = f"get them with: odekit weights pull {fetched}" if fetched else ""
    own = f"add a file that you have with: {' ; '.join(by_hand)}"
    return f"{pull}; or {own}" if pull else own


def tensors_file(path: Path) -> Path:
    """The file that holds the tensors: the path itself, or the safetensors file in a folder."""
    return path if path.is_file() else path / "diffusion_pytorch_model.safetensors"


SUFFIXES = (".safetensors", *PICKLED)


def weights_file(weights: str, tools: Tools) -> Path:
    """The file of named weights; a text with a slash or the ending of a weights file is a path of the user's own.

    Raises:
        WeightsError: unknown name, or nothing there.
    """
    if not is_path(weights):
        return Path(tools.weights(weights))
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsError(f"{weights}: there is no such weights file; check the path")
    tools.used[weights] = sha256(path)  # for the record: a path alone does not say which file it was
    return path


def network_file(weights: str, tools: Tools, name: str = "model.safetensors") -> Path:
    """The file `name` of a folder of the user's own (a text with a slash), or the file of named weights.

    Raises:
        WeightsError: unknown name, or nothing there.
    """
    if "/" in weights or "\\" in weights:
        folder = Path(weights).expanduser()
        if not folder.is_dir():
            raise WeightsError(f"{weights}: there is no such weights folder; check the path")
        return folder / name
    path = Path(tools.weights(weights))
    return path / name if path.is_dir() else path
