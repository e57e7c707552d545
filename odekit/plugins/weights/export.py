"""Write weights as a folder that is ready for the Hugging Face hub: safetensors, metadata, and a model card."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from odekit.core.files import set_usual_rights
from odekit.errors import OutputError
from odekit.plugins.catalog import Weights
from odekit.plugins.weights.hub import RECEIPT
from odekit.plugins.weights.load import load_tensors

HUB_LICENCES = {
    "MIT": "mit",
    "Apache-2.0": "apache-2.0",
    "BSD-3-Clause": "bsd-3-clause",
    "BSD-2-Clause": "bsd-2-clause",
}
"""The hub's names of licences."""
CARD = "README.md"
KEPT = (".json", ".npz", ".safetensors", ".onnx")
"""Endings of files that are copied from a folder."""
RECEIPTS = (RECEIPT,)
"""Files about this machine, which are not copied."""
SUBFOLDERS = ("unet", "scheduler")
"""Of a diffusers pipeline."""
OWN_LICENCE = "other"
"""The hub's name of licences that it does not know."""
TAGS = ("face-restoration", "image-restoration")


def export_folder(folder: Path, out: Path, licence: str = "", summary: str = "") -> list[Path]:
    """Copy a folder with a network, as `odekit train` and `odekit weights convert` write it; returns the written files.

    A card in the folder is kept; it gets a YAML front matter if it has none.

    Raises:
        OutputError: `out` exists and is not empty, or cannot be written.
    """
    with _written(out) as target:
        files = [path for path in sorted(folder.iterdir()) if path.suffix in KEPT and path.name not in RECEIPTS]
        files += [path for path in sorted(folder.glob("*/*")) if path.suffix in KEPT and path.parent.name in SUBFOLDERS]
        for path in files:
            copy = target / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
        card = folder / CARD
        text = card.read_text("utf-8") if card.is_file() else f"# {folder.name}\n\n{summary}\n"
        is_prior = (folder / "config.json").is_file() or (folder / "unet" / "config.json").is_file()
        (target / CARD).write_text(with_front_matter(text, licence, is_prior), "utf-8")
    return sorted(path for path in out.rglob("*") if path.is_file())


def export_file(weights: Weights, file: Path, out: Path) -> list[Path]:
    """Write one weights file as `model.safetensors` with a card that states its source and licence.

    Raises:
        WeightsError: the file is damaged.
        OutputError: see `export_folder`.
    """
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in load_tensors(file).items()}
    with _written(out) as target:
        save_file(tensors, target / "model.safetensors")
        set_usual_rights(target / "model.safetensors")
        sources = "".join(f"- {url}\n" for url in weights.urls)
        text = (
            f"# {weights.name}\n\n{weights.summary}\n\n{weights.notice}\n\nSource:\n\n{sources or '- this machine'}\n"
        )
        (target / CARD).write_text(with_front_matter(text, weights.licence), "utf-8")
    return sorted(path for path in out.rglob("*") if path.is_file())


@contextlib.contextmanager
def _written(out: Path) -> Iterator[Path]:
    """The new folder. Raises OutputError if it exists and is not empty, or cannot be written."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: exists already and is not an empty folder; name another one")
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield out
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error})") from error


def with_front_matter(card: str, licence: str = "", is_prior: bool = False) -> str:
    """The card with a YAML front matter that the hub reads: licence, library, tags. An existing one is kept."""
    if card.startswith("---\n"):
        return card
    name = HUB_LICENCES.get(licence.split(";")[0].strip(), OWN_LICENCE)
    lines = ["---", f"license: {name}"]
    if name == OWN_LICENCE and licence:
        lines.append(f"license_name: {json.dumps(licence)}")
    lines += [f"library_name: {'diffusers' if is_prior else 'odekit'}", "tags:", *(f"- {tag}" for tag in TAGS)]
    if is_prior:
        lines += ["- diffusion", "- unconditional-image-generation"]
    return "\n".join([*lines, "---", "", card])


def front_matter(card: str) -> dict[str, Any]:
    """The YAML front matter of a card as plain data; empty if it has none."""
    from ruamel.yaml import YAML

    if not card.startswith("---\n"):
        return {}
    content = YAML(typ="safe").load(card[4:].partition("\n---")[0])
    return dict(content) if isinstance(content, dict) else {}
