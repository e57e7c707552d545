"""Damages files in bulk: reads, damages and writes them, and adds them to the manifest, in constant memory."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from odekit.core.files import read_json, sha256, write_json
from odekit.core.image import Image
from odekit.core.parallel import map_in_order
from odekit.errors import ConfigError, OdekitError
from odekit.evaluation.degrade import manifest
from odekit.evaluation.degrade.recipe import Recipe, Selection, select
from odekit.images import io
from odekit.runs.inputs import Job, list_inputs, select_jobs
from odekit.runs.unread import UnreadFile, describe_unread, unread_rows

CHUNK = 16
"""Images in one task of a process."""
PARALLEL_MIN_COUNT = 1000
"""Smallest number of images for which several processes are started automatically."""
SETTINGS = "degrade.json"


@dataclass(frozen=True)
class Settings:
    """The damage of every image of a run; written to OUT/degrade.json."""

    kind: str
    severity: int = 4
    seed: int = 0
    table: str = "auto"
    options: str = ""
    """Options of the kind as YAML."""
    format: str = "png"
    """`png`, or `same` as the input (JPEG adds damage of its own)."""


@dataclass
class Summary:
    """The result of a run."""

    out: Path
    written: int = 0
    skipped: int = 0
    """Inputs finished by an earlier run."""
    failed: list[dict[str, str]] = field(default_factory=list)
    unread: list[dict[str, str]] = field(default_factory=list)
    """`input` and `kind` of pictures and videos of formats that are not read."""
    seconds: float = 0.0

    def tree(self) -> dict[str, Any]:
        """The summary as plain data, for --json."""
        return asdict(self) | {"out": str(self.out), "seconds": round(self.seconds, 3)}


Outcome = tuple[Path, list[manifest.Entry], str]
"""A source, the manifest lines of its damaged images, and the reason of a failure (or "")."""


def degrade_files(
    inputs: Sequence[str | Path],
    out: Path,
    settings: Settings,
    *,
    processes: int | None = 1,
    resume: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda finished, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> Summary:
    """Damage files into a folder.

    Args:
        inputs: files, folders, globs.
        out: output folder: images under their old names, in a subfolder for each kind where the kind is `all`;
            manifest.jsonl, degrade.json, and failures.json where some failed.
        settings: the damage.
        processes: number of processes; None: automatic. The result does not depend on it.
        resume: skip inputs that the manifest of an equal run lists.
        overwrite: start again in a folder with a manifest.
        limit: at most this many inputs.
        progress: called with (finished, total) inputs.
        note: called with a line about pictures and videos that are not read.

    Raises:
        ConfigError: wrong settings, no inputs, or a folder of another run; nothing is written.
    """
    began = time.perf_counter()
    selection = select(settings.kind, settings.severity, settings.table, settings.options)
    jobs, unread = _jobs(inputs, out, settings, limit)
    earlier = _prepare(out, settings, selection, resume, overwrite)
    todo = [job for job in jobs if str(job.source) not in earlier]
    summary = Summary(out, skipped=len(jobs) - len(todo), unread=unread_rows(unread))
    if unread:
        note(describe_unread(unread))
    chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
    if processes is None:
        processes = min(os.cpu_count() or 1, 8) if len(todo) >= PARALLEL_MIN_COUNT else 1
    finished = 0
    work = partial(_chunk, out=out, settings=settings, selection=selection)
    for outcomes in map_in_order(work, chunks, processes):
        manifest.append(out / manifest.NAME, (entry for _, entries, _ in outcomes for entry in entries))
        for source, entries, error in outcomes:
            summary.written += len(entries)
            if error:
                summary.failed.append({"input": str(source), "error": error})
        finished += len(outcomes)
        progress(finished, len(todo))
    if summary.failed:
        write_json(out / "failures.json", summary.failed)
    else:
        (out / "failures.json").unlink(missing_ok=True)
    summary.seconds = time.perf_counter() - began
    return summary


def _jobs(
    inputs: Sequence[str | Path], out: Path, settings: Settings, limit: int | None
) -> tuple[list[Job], list[UnreadFile]]:
    """The inputs with their output names, which are unique; and the files that are not read."""
    if settings.format not in ("png", "same"):
        raise ConfigError(f"format '{settings.format}' is not 'png' or 'same'; choose one")
    targets: set[Path] = set()
    final = []
    listed = list_inputs(inputs, out, io.IMAGE_SUFFIXES)
    for job in listed.jobs:
        written = settings.format == "same" and job.target.suffix.lower() not in io.APPENDED_SUFFIXES
        target = job.target if written else job.target.with_suffix(".png")
        if target in targets:  # a.jpg and a.png both become a.png: the second keeps its whole name
            target = target.with_name(job.source.name + target.suffix)
        targets.add(target)
        final.append(Job(job.file, str(target), job.error))
    sources = {job.source.resolve() for job in final}
    for job in final:
        if (out / job.target).resolve() in sources:
            raise ConfigError(f"the damaged {job.source} would replace an input; choose another folder with -o")
    return select_jobs(final, None, limit), listed.unread


def _prepare(out: Path, settings: Settings, selection: Selection, resume: bool, overwrite: bool) -> set[str]:
    """Prepare the folder; returns the inputs that are finished already."""
    path = out / manifest.NAME
    if path.exists() and not (resume or overwrite):
        raise ConfigError(
            f"{out} holds damaged pictures; --resume continues, --overwrite starts again, or choose another -o"
        )
    wanted = asdict(settings) | {"steps": [recipe.tree() for recipe in selection.recipes]}
    finished: set[str] = set()
    try:
        if path.exists() and resume:
            if read_json(out / SETTINGS) != wanted:
                raise ConfigError(f"{out / SETTINGS} was written with other settings; --overwrite starts again")
            entries = [entry for entry in manifest.read(path) if (out / entry.output).is_file()]
            counts = Counter(entry.input for entry in entries)
            whole = len(selection.recipes) if selection.mode == "all" else 1
            finished = {name for name, count in counts.items() if count == whole}
            entries = [entry for entry in entries if entry.input in finished]
            path.unlink()
            manifest.append(path, entries)
        else:
            path.unlink(missing_ok=True)
        write_json(out / SETTINGS, wanted)
    except OSError as error:
        raise ConfigError(f"the output folder {out} cannot be written: {error.strerror}") from error
    return finished


def _chunk(jobs: list[Job], *, out: Path, settings: Settings, selection: Selection) -> list[Outcome]:
    return [_one(job, out, settings, selection) for job in jobs]


def _one(job: Job, out: Path, settings: Settings, selection: Selection) -> Outcome:
    """Damage one input."""
    entries: list[manifest.Entry] = []
    try:
        if job.error is not None:
            raise job.error
        image = io.read(job.source)
        digest = sha256(job.source)
        for recipe in selection.of(image, settings.seed):
            target = Path(recipe.name) / job.target if selection.mode == "all" else job.target
            written = _write(recipe.apply(image, settings.seed), out / target, settings.format)
            entries.append(_entry(job, written.relative_to(out), recipe, settings, digest, sha256(written)))
    except OdekitError as error:
        text = " ".join(str(error).split())
        return job.source, entries, text if str(job.source) in text else f"{job.source}: {text}"
    except OSError as error:
        return job.source, entries, f"{job.source}: cannot be read or written: {error.strerror or error}"
    return job.source, entries, ""


def _write(image: Image, path: Path, format: str) -> Path:
    """Write with 8 bits and without a profile, so that the values in the file are those of the damage.

    `same` is the input's format, also where the input has the ending of another one.
    """
    plain = replace(image, meta=replace(image.meta, bits=8))
    return io.write(plain, path, format=io.format_name(image, format).lower(), keep_metadata=False)


def _entry(job: Job, output: Path, recipe: Recipe, settings: Settings, before: str, after: str) -> manifest.Entry:
    return manifest.Entry(
        str(job.source), output.as_posix(), recipe.name, settings.severity, settings.seed, before, after, recipe.tree()
    )  # fmt: skip
