"""What this installation can do: distributions, extras, chains, devices, folders. For `odekit doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.packages import missing_dependencies, require_packages
from odekit.core.processors import WAITING, free_processors, usable_processors
from odekit.core.version import __version__
from odekit.errors import OdekitError
from odekit.plugins.catalog import BUILT_IN, Catalog
from odekit.plugins.discovery import discover_commands
from odekit.plugins.weights import store

EXTRAS = {
    "photos": "odekit run photo, odekit run old-photo, odekit faces",
    "heif": "reading HEIC and HEIF pictures",
    "degrade": "odekit degrade",
    "metrics": "odekit eval and odekit experiment with lpips, fid, kid, ciede2000; plots",
    "train": "odekit train",
}
"""Extra -> what it is for."""
DISPLAYED = ("torch", "torchvision", "numpy", "pillow", "diffusers", "scipy", "pydantic")
"""Libraries whose versions matter for results and for questions about them."""


@dataclass(frozen=True)
class Finding:
    """One row of the diagnosis."""

    topic: str
    name: str
    state: str
    """`ok`, `missing`, or what was found."""
    advice: str = ""
    """What to do, or what it is for."""

    @property
    def tree(self) -> dict[str, str]:
        """The row as plain data."""
        return dict(vars(self))


def diagnose(parts: Catalog) -> list[Finding]:
    """All rows, by topic. Loads no weights; imports torch for the devices."""
    return [*_distributions(parts), *_extras(), *_chains(parts), *_devices(), *_folders(parts)]


def is_broken(findings: list[Finding]) -> bool:
    """Whether something is missing that every command needs, or a plugin failed."""
    return any(row.state in ("missing", "failed") and row.topic in ("installed", "plugin") for row in findings)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _distributions(parts: Catalog) -> list[Finding]:
    rows = [Finding("installed", "odekit", __version__), Finding("installed", "python", platform.python_version())]
    lacking = missing_dependencies(BUILT_IN)
    rows += [
        Finding("installed", name, _version(name))
        for name in DISPLAYED
        if name not in lacking and _version(name) != "missing"
    ]
    rows += [Finding("installed", name, "missing", "pip install odekit") for name in lacking]
    commands: dict[str, list[str]] = {}
    for dist, point in discover_commands():
        commands.setdefault(dist, []).append(f"odekit {point.name}")
    for dist in sorted({entry.dist for entry in parts.all()} - {BUILT_IN} | commands.keys() - parts.broken.keys()):
        needs = missing_dependencies(dist)
        advice = f"lacks {', '.join(needs)}; pip install {dist}" if needs else ", ".join(commands.get(dist, []))
        rows.append(Finding("plugin", dist, "missing" if needs else _version(dist), advice))
    rows += [Finding("plugin", dist, "failed", reason) for dist, reason in parts.broken.items()]
    return rows


def _extras() -> list[Finding]:
    rows = []
    for extra, purpose in EXTRAS.items():
        absent = [name for name in extra_requirements(extra) if _version(name) == "missing"]
        if absent:
            rows.append(
                Finding("extra", extra, "missing", f"{', '.join(absent)}, for {purpose}; pip install 'odekit[{extra}]'")
            )
        else:
            rows.append(Finding("extra", extra, "ok", purpose))
    return rows


def extra_requirements(extra: str) -> list[str]:
    """The distributions that an extra of odekit asks for, by its metadata."""
    try:
        lines = importlib.metadata.requires("odekit") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    marked = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    return [re.split(r"[\s\[<>=!~(;]", line, maxsplit=1)[0] for line in lines if marked.search(line)]


def _chains(parts: Catalog) -> list[Finding]:
    rows = []
    for name in sorted(parts.chains):
        try:
            chain = Chain.load(name, parts=parts)
            require_packages(chain.spec, parts)
            absent = [weights for weights in chain.plan().weights if not weights["here"]]
        except OdekitError as error:
            rows.append(Finding("chain", name, "missing", " ".join(str(error).split())))
            continue
        advice = "; ".join(_how_to_get(one["name"], parts) for one in absent)
        rows.append(Finding("chain", name, "missing" if absent else "ok", advice))
    return rows


def _how_to_get(name: str, parts: Catalog) -> str:
    """The command that fetches weights, or what is wrong with a path."""
    return f"odekit weights pull {name}" if name in parts.weights else f"{name} is not there; check the path"


def _devices() -> list[Finding]:
    import torch

    from odekit.core.device import available_memory_bytes, describe_processor

    memory = f"{available_memory_bytes() / 1e9:.0f} GB free"
    rows = [Finding("device", "cpu", "ok", f"{describe_processor()}, {memory}; {_precisions('cpu')}"), _threads()]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device = f"cuda:{index}"
        free, total = torch.cuda.mem_get_info(index)
        about = f"{torch.cuda.get_device_name(index)}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free"
        rows.append(Finding("device", device, "ok", f"{about}; {_precisions(device)}"))
    if not torch.cuda.is_available():
        built = "this torch is built for the CPU" if torch.version.cuda is None else "no NVIDIA GPU, or no driver"
        rows.append(Finding("device", "cuda", "none", built))
    if torch.backends.mps.is_available():
        rows.append(Finding("device", "mps", "ok", _precisions("mps")))
    return rows


def _threads() -> Finding:
    """How many threads a run starts, and how they wait for each other."""
    import torch

    usable, free = usable_processors(), free_processors()
    waiting = ", ".join(f"{name}={os.environ[name]}" for name in WAITING if name in os.environ)
    how = f"sleep soon ({waiting})" if waiting else "spin, the default of the library"
    about = f"{usable} processors usable, {free} free now (--threads free); threads that wait {how}"
    return Finding("device", "threads", str(torch.get_num_threads()), about)


def _precisions(device: str) -> str:
    """Those that `auto` chooses from, and `int8`, which is for whoever asks for it."""
    from odekit.chains.tuning.precision import reduced_precisions
    from odekit.core.precision import has_int8

    return ", ".join(["float32", *reduced_precisions(device), *(["int8"] if has_int8(device) else [])])


def _folders(parts: Catalog) -> list[Finding]:
    home = store.home()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = os.access(existing, os.W_OK)
    stored = [one.name for one in parts.weights.values() if one.path is None and store.stored_path(one).exists()]
    held = f"weights: {', '.join(sorted(stored))}" if stored else "no downloaded weights"
    advice = held if writable else f"{existing} is not writable; set ODEKIT_HOME to a folder that is"
    rows = [Finding("folder", str(home), "ok" if writable else "missing", advice)]
    rows.append(
        Finding(
            "network",
            "ODEKIT_OFFLINE",
            "set" if store.is_offline() else "not set",
            "downloads only by odekit weights pull",
        )
    )
    return rows


def as_tree(findings: list[Finding]) -> dict[str, Any]:
    """The diagnosis as plain data."""
    return {"ok": not is_broken(findings), "findings": [row.tree for row in findings]}
