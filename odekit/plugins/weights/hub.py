"""Priors of the Hugging Face hub by name: `hf:OWNER/NAME@REVISION`.

`odekit weights pull` fetches the files of a prior through huggingface_hub into odekit's folder, one folder for each
commit, with the SHA-256 of every file. A run only reads them. A name without a revision, or with a branch or a tag,
means the commit that was fetched first: it is pinned.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from odekit.core.files import read_json, sha256, write_json
from odekit.errors import WeightsError
from odekit.plugins.weights import store
from odekit.plugins.weights.load import check_complete

PREFIX = "hf:"
RECEIPT = "odekit-hub.json"
"""Receipt of a fetched commit: where its files come from, their SHA-256, and the licence."""
PINS = "revisions.json"
"""{revision: commit} of a repository; the revision "" is a name without one."""
FILES = frozenset(
    f"{folder}{name}"
    for folder in ("", "unet/", "scheduler/")
    for name in ("config.json", "scheduler_config.json", "odekit.json", "strength.json", "spectrum.json", "balance.npz")
) | {"README.md"}
"""Files of a prior beside its weights; others of a repository are not fetched."""
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
"""Weights files, of which the first that a repository has is fetched."""
FREE = ("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0", "unlicense")
"""The hub's names of licences that allow commercial use."""
COMMIT = re.compile(r"[0-9a-f]{40}")

Say = Callable[[str], None]


@dataclass(frozen=True)
class HubName:
    """A parsed name."""

    repository: str
    """OWNER/NAME."""
    revision: str
    """A commit, branch or tag; empty if the name has none."""

    @classmethod
    def parse(cls, text: str) -> HubName:
        """Parse `hf:OWNER/NAME[@REVISION]`. Raises ValueError for other texts."""
        match = re.fullmatch(r"hf:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([A-Za-z0-9][\w./-]*))?", text)
        if match is None or ".." in text:
            raise ValueError(f"'{text}' is not a name of the form hf:OWNER/NAME@REVISION")
        return cls(match[1], match[2] or "")

    @property
    def folder(self) -> Path:
        """The folder of the repository in odekit's own."""
        return store.home() / "hub" / self.repository.replace("/", "--")

    @property
    def commit(self) -> str | None:
        """The commit that the name means on this machine; None if nothing was fetched under it."""
        if COMMIT.fullmatch(self.revision):
            return self.revision
        pins = read_json(self.folder / PINS)
        pinned = pins.get(self.revision) if isinstance(pins, dict) else None
        return pinned if isinstance(pinned, str) and COMMIT.fullmatch(pinned) else None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_folder(text: str) -> Path:
    """The verified local folder of a name. Nothing is downloaded.

    Raises:
        WeightsError: it is not on this machine (with the command that fetches it), or its files have changed.
    """
    try:
        name = HubName.parse(text)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    folder = name.folder / (name.commit or "absent")
    receipt = read_receipt(folder)
    if receipt is None:
        raise WeightsError(f"the weights '{name}' are not on this machine; get them with: odekit weights pull {name}")
    verify(folder, receipt, name)
    return folder


def describe_hub(text: str) -> dict[str, Any]:
    """Licence and presence of a name, from its receipt, for `odekit explain`; unknown until it is fetched."""
    name = HubName.parse(text)
    receipt = read_receipt(name.folder / (name.commit or "absent"))
    if receipt is None:
        missing = f"get them with: odekit weights pull {name}"
        return {
            "name": text,
            "licence": "of the hub's page",
            "commercial_use": False,
            "here": False,
            "missing": missing,
        }
    licence, free = str(receipt.get("licence")), receipt.get("commercial_use") is True
    return {"name": text, "licence": licence, "commercial_use": free, "here": True, "missing": ""}


def read_receipt(folder: Path) -> dict[str, Any] | None:
    """The receipt of a fetched commit; None if the folder is not one."""
    receipt = read_json(folder / RECEIPT)
    return receipt if isinstance(receipt, dict) and isinstance(receipt.get("files"), dict) else None


def verify(folder: Path, receipt: dict[str, Any], name: HubName) -> None:
    """Compare the files with their receipt. Raises WeightsError if one is missing or has changed."""
    for file, facts in receipt["files"].items():
        try:
            stat = (folder / file).stat()
            same = _digest(folder / file, stat.st_size, stat.st_mtime_ns) == facts["sha256"]
        except (OSError, KeyError, TypeError):
            same = False
        if not same:
            raise WeightsError(
                f"{folder / file} is missing or has changed since it was fetched; fetch it again with: "
                f"odekit weights pull {name} --again"
            )


@functools.lru_cache(maxsize=64)
def _digest(file: Path, size: int, mtime_ns: int) -> str:
    """The SHA-256 of a file of this size and time, computed once in a process."""
    return sha256(file)


def pull_hub(
    text: str, accept: Callable[[str, str, bool], bool], offline: bool = False, again: bool = False, say: Say = print
) -> Path:
    """Fetch the files of a prior; returns its folder.

    Args:
        text: `hf:OWNER/NAME[@REVISION]`.
        accept: whether a licence is accepted, of (name, licence, commercial use).
        offline: use no network; the same as `ODEKIT_OFFLINE=1` and `HF_HUB_OFFLINE=1`.
        again: fetch files that are there already, and pin the name's revision again.
        say: receives messages for the user.

    Raises:
        WeightsError: offline, licence not accepted, no such repository or revision, no prior in it, or a file that is
            not the one that the hub describes.
    """
    try:
        name = HubName.parse(text)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    if not again and name.commit and read_receipt(name.folder / name.commit) is not None:
        return hub_folder(text)
    if offline or store.is_offline() or os.environ.get("HF_HUB_OFFLINE", "").lower() in store.TRUE_VALUES:
        raise WeightsError(
            f"the weights '{name}' are not on this machine, and the network is switched off (--offline, ODEKIT_OFFLINE "
            f"or HF_HUB_OFFLINE); fetch them elsewhere and copy {name.folder}"
        )
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    info = _ask(name, endpoint)
    files = chosen([sibling.rfilename for sibling in info.siblings], name)
    card = info.card_data.to_dict() if info.card_data is not None else {}
    licence = str(card.get("license") or "none stated")
    free = licence.lower() in FREE
    if not accept(str(name), licence, free):
        raise WeightsError(
            f"the licence of '{name}' ({licence}) was not accepted, nothing was fetched; read it, then: "
            f"odekit weights pull {name} --accept-licence"
        )
    folder = name.folder / info.sha
    store.make_folder(name.folder)
    with store.lock_folder(name.folder, say):
        published = {s.rfilename: s.lfs.sha256 for s in info.siblings if s.lfs is not None}
        part = _fetch(name, endpoint, info.sha, files, published, say)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        facts = {file: {"sha256": sha256(folder / file), "bytes": (folder / file).stat().st_size} for file in files}
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        about = {"repository": name.repository, "commit": info.sha, "licence": licence, "commercial_use": free}
        write_json(folder / RECEIPT, about | {"source": endpoint, "when": when, "files": facts})
        if not COMMIT.fullmatch(name.revision):
            pins = read_json(name.folder / PINS)
            write_json(name.folder / PINS, (pins if isinstance(pins, dict) else {}) | {name.revision: info.sha})
    say(f"{name}: pinned to {name.repository}@{info.sha}")
    return hub_folder(text)


def _ask(name: HubName, endpoint: str) -> Any:
    """What the hub says of the repository at this revision. Raises WeightsError in one line."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=endpoint).model_info(name.repository, revision=name.revision or None, files_metadata=True)
    except Exception as error:  # errors of the hub's library and of its http library
        raise WeightsError(f"{endpoint} does not give '{name}' ({_first_line(error)})") from error
    if not COMMIT.fullmatch(str(info.sha)) or (COMMIT.fullmatch(name.revision) and info.sha != name.revision):
        raise WeightsError(f"{endpoint} names no commit of '{name}', or another one")  # it becomes a folder's name
    return info


def chosen(names: Iterable[str], name: HubName) -> list[str]:
    """The files of a prior among those of a repository. Raises WeightsError if there is no prior."""
    names = set(names)
    for folder in ("", "unet/"):
        weights = [file for file in (f"{folder}{w}" for w in WEIGHTS) if file in names]
        if weights and f"{folder}config.json" in names:
            return sorted(names & FILES) + weights[:1]
    raise WeightsError(f"'{name}' holds no prior: a UNet2DModel has config.json and {WEIGHTS[0]}, or both in unet/")


def _fetch(name: HubName, endpoint: str, commit: str, files: list[str], published: dict[str, str], say: Say) -> Path:
    """Fetch the files into a folder beside the final one. Raises WeightsError in one line."""
    from huggingface_hub import hf_hub_download

    part = name.folder / f"{commit}.part"
    for file in files:
        say(f"fetching {file}")
        try:
            hf_hub_download(name.repository, file, revision=commit, local_dir=part, endpoint=endpoint)
        except Exception as error:
            raise WeightsError(f"{name}: {file} could not be fetched ({_first_line(error)})") from error
        digest = sha256(part / file)
        if published.get(file, digest) != digest:
            (part / file).unlink()
            raise WeightsError(f"{name}: {file} is not the file of the hub (its SHA-256 is {digest}); try again")
        if Path(file).name in WEIGHTS:
            check_complete(part / file)
    shutil.rmtree(part / ".cache", ignore_errors=True)  # the library's notes on unfinished downloads
    return part


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
