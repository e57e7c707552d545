"""The report of a run: every picture before and after, its faces, what was done in words, and the technical data."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from odekit.core.files import read_json
from odekit.core.image import Image
from odekit.errors import InputError
from odekit.runs.findings import findings_of
from odekit.runs.report.embed import thumbnail_uri
from odekit.runs.report.faces import FaceView, expected_numbers, face_entries, view_face
from odekit.runs.report.page import Cell, Table
from odekit.runs.report.sources import Sources
from odekit.runs.report.store import PictureStore, StoredPicture

MAX_PICTURES = 2000
"""Maximum number of restored pictures on the page, and of failures."""
SMALL_SIDE = 128
"""Pictures with sides up to this length are enlarged without smoothing at first."""
SHARED_ENTRIES = (
    "schema", "chain", "seed", "device", "precision", "slots", "threads", "weights", "depends", "versions"
)  # fmt: skip
"""Entries of a record that are the same for the whole run, and are shown once."""

Status = Literal["changed", "nothing", "failed"]
STATUS_TEXT: Mapping[Status, str] = {"changed": "changed", "nothing": "nothing done", "failed": "failed"}


@dataclass(frozen=True)
class Layer:
    """A picture that can be shown on the left or right of the slider."""

    label: str
    picture: StoredPicture

    def tree(self) -> dict[str, Any]:
        """For the page's script."""
        p = self.picture
        return {"label": self.label, "src": p.uri, "width": p.width, "height": p.height}


@dataclass(frozen=True)
class Photo:
    """One picture of the run."""

    name: str
    status: Status
    line: str
    """What was done, in words; of a failure, why."""
    layers: Sequence[Layer] = ()
    """Before, after, then extras and kept stages."""
    faces: Sequence[FaceView] = ()
    thumbnail: str = ""
    note: str = ""
    """Why something is not shown."""
    facts: Sequence[tuple[str, str]] = ()
    """Expected numbers of an aligned face."""
    stages: Table | None = None
    record: str = ""
    """JSON text of the entries of this picture."""

    @property
    def found(self) -> Sequence[FaceView]:
        """The faces."""
        return [face for face in self.faces if face.outcome != "rejected"]

    @property
    def rejected(self) -> Sequence[FaceView]:
        """What the detector took for no face."""
        return [face for face in self.faces if face.outcome == "rejected"]

    @property
    def status_text(self) -> str:
        """The status in words."""
        return STATUS_TEXT[self.status]

    @property
    def small(self) -> bool:
        """Whether its pixels are so few that smoothing could be mistaken for restoration."""
        return bool(self.layers) and max(max(x.picture.width, x.picture.height) for x in self.layers[:2]) <= SMALL_SIDE


@dataclass(frozen=True)
class RunPage:
    """The content of the report of a run."""

    title: str
    folder: str
    photos: Sequence[Photo] = ()
    note: str = ""
    facts: Sequence[tuple[str, str]] = ()
    chain: str = ""
    """The chain with all defaults, as JSON text."""
    table: Table | None = None
    in_folder: bool = False
    """Whether the pictures lie in a folder beside the page."""
    counts: Mapping[Status, int] = field(default_factory=dict)
    """Number of pictures by status."""


def run_page(out: Path, sources: Sources, store: PictureStore | None = None) -> RunPage:
    """The report of an output folder, from its records.

    Args:
        out: the folder.
        sources: the files that may be shown.
        store: for the pictures; default: embedded up to `store.MAX_EMBEDDED` bytes, else in a folder beside the page.

    Raises:
        InputError: no run has written to the folder.
        OSError: the folder of the pictures cannot be written.
    """
    run = read_json(out / "run.json")
    records = find_records(out, sources)
    failures = list(read_failures(out))
    if not isinstance(run, dict) and not records and not failures:
        raise InputError(f"{out}: no run has written here; name the folder given to -o")
    run = run if isinstance(run, dict) else {}
    store = store or PictureStore(out, [name for name, _ in records])
    photos, rows = [], []
    for name, path in records[:MAX_PICTURES]:
        record = read_json(path)
        photos.append(_restored(name, record, sources, store))
        rows.append(_row(name, record))
    # With --require-change, pictures in which nothing was done are listed as failures, too.
    failures = [row for row in failures if not str(row.get("error")).partition(": ")[2].startswith("nothing was done")]
    photos += [_failed(row, sources, store) for row in failures[:MAX_PICTURES]]
    hidden = sum(max(0, len(items) - MAX_PICTURES) for items in (records, failures))
    chain = _mapping(run.get("chain"))
    counts = {status: sum(photo.status == status for photo in photos) for status in STATUS_TEXT}
    return RunPage(
        title=f"Restored with {chain.get('name') or 'a chain'}",
        folder=str(out),
        photos=sorted(photos, key=lambda photo: photo.name),
        note=f"{hidden} further pictures are in the folder but not on this page." if hidden else "",
        facts=_settings(run),
        chain=json_text(chain) if chain else "",
        table=Table("All pictures", ("picture", "network calls", "seconds", "stages", "kB", "SHA-256"), rows),
        in_folder=store.in_folder,
        counts=counts,
    )


def find_records(out: Path, sources: Sources) -> list[tuple[str, Path]]:
    """(name of the result, path of its record) of every result in a folder, sorted by name.

    The event log is not used, because it lacks the last results of killed runs. Links to folders are not followed.
    """
    found = {}
    for folder, _, files in os.walk(out):
        for file in files:
            relative = os.path.relpath(os.path.join(folder, file), out)
            path = sources.inside(relative) if file.endswith(".json") else None
            record = read_json(path) if path is not None else None
            output = record.get("output") if isinstance(record, dict) else None
            written = output.get("path") if isinstance(output, dict) else None
            if path is not None and isinstance(written, str):
                result = str(Path(relative).with_name(Path(written).name)) if Path(written).name else ""
                if sources.inside(result) is not None:
                    found[result] = path
    return sorted(found.items())


def read_failures(out: Path) -> Iterator[dict[str, Any]]:
    """Input and error of every failure of the last runs in a folder."""
    for path in sorted(out.glob("failures*.json")):
        rows = read_json(path)
        yield from (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


def _failed(row: dict[str, Any], sources: Sources, store: PictureStore) -> Photo:
    """A failed input, shown if it can be read."""
    name, error = str(row.get("input", "")), str(row.get("error", "no reason was recorded"))
    before = sources.failed_input(name)
    layers = [] if before is None else [Layer("Before", store.add(before, "before"))]
    thumbnail = "" if before is None else thumbnail_uri(before)
    return Photo(Path(name).name or name, "failed", error.removeprefix(f"{name}: "), layers, (), thumbnail)


def _restored(name: str, record: Any, sources: Sources, store: PictureStore) -> Photo:
    """One result with its layers and faces."""
    record = _mapping(record)
    before, note = sources.input(record.get("input"))
    after, lost = sources.result(name, record.get("output"))
    pairs = (("Before", "before", before), ("After", "after", after))
    layers = [Layer(label, store.add(image, key)) for label, key, image in pairs if image is not None]
    notes = [f"The picture before is not shown: {note}."] if note else []
    if after is None:
        notes.append(f"The result is not shown: {lost}.")
    layers += _extras(name, record, sources, store)
    kept, kept_of_faces = _kept_stages(record, sources, store)
    findings = findings_of(record)
    thumbnail = "" if (shown := after or before) is None else thumbnail_uri(shown)
    faces = [
        view_face(face, size, before, after, store, record.get("changed") is not False,
                  kept_of_faces.get(str(face.get("number")), ()))
        for face, size in face_entries(record, _input_size(record, before, after))
    ]  # fmt: skip
    own = {key: value for key, value in record.items() if key not in SHARED_ENTRIES}
    return Photo(
        name, "nothing" if findings.nothing_done else "changed", findings.text, [*layers, *kept], faces,
        thumbnail, " ".join(notes), list(expected_numbers(record)), _stage_table(record),
        json_text(own),
    )  # fmt: skip


def _input_size(record: Mapping[str, Any], before: Image | None, after: Image | None) -> tuple[int, int]:
    """Width and height of the input: as read, else as recorded, else that of the result."""
    size = _mapping(record.get("input")).get("size")
    if before is None and isinstance(size, list) and len(size) == 2 and all(isinstance(v, int) and v > 0 for v in size):
        return size[0], size[1]
    image = before or after
    return (1, 1) if image is None else (image.width, image.height)


def _extras(name: str, record: Mapping[str, Any], sources: Sources, store: PictureStore) -> Iterator[Layer]:
    """Pictures beside the result: samples, their spread, masks."""
    extras = record.get("extras")
    stem = str(Path(name).with_suffix(""))
    for file in extras if isinstance(extras, list) else ():
        own = isinstance(file, str) and re.fullmatch(r"[\w-]+\.png", file.removeprefix(f"{stem}.")) is not None
        image = sources.beside(file) if own and file.startswith(f"{stem}.") else None
        if image is not None:
            yield Layer(file.removeprefix(f"{stem}.").removesuffix(".png"), store.add(image, "extra"))


def _kept_stages(
    record: Mapping[str, Any], sources: Sources, store: PictureStore
) -> tuple[list[Layer], dict[str, list[tuple[str, StoredPicture]]]]:
    """Pictures kept by --keep-stages: of the whole picture, and of its faces by their numbers."""
    whole: list[Layer] = []
    faces: dict[str, list[tuple[str, StoredPicture]]] = {}
    sheet = sources.inside(record.get("pictures"))
    if sheet is not None and not os.path.realpath(sheet).startswith(os.path.join(sources.root, "stages", "")):
        sheet = None  # not written by --keep-stages
    files = sheet.parent.iterdir() if sheet is not None else ()
    found = [match for file in files if (match := re.fullmatch(r"(\d+)-(?:face(\d+)-)?(.+)\.png", file.name))]
    for match in sorted(found, key=lambda match: int(match[1])):
        assert sheet is not None
        if match[1] == "0" and match[3] == "input":
            continue
        image = sources.beside(os.path.relpath(sheet.parent / match.string, sources.out))
        if image is None:
            continue
        if match[2]:
            faces.setdefault(match[2], []).append((match[3], store.add(image, "face-stage")))
        else:
            whole.append(Layer(f"stage {match[3]}", store.add(image, "stage")))
    return whole, faces


def _settings(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the settings in run.json."""
    names = {"seed": "seed", "device": "device", "precision": "precision", "slots": "batch size", "threads": "threads"}
    settings = [(name, str(run[key])) for key, name in names.items() if key in run]
    return [*settings, *((str(name), str(number)) for name, number in _mapping(run.get("versions")).items())]


def _stage_table(record: Mapping[str, Any]) -> Table:
    """One row for each stage: what it cost and what it measured."""
    rows = []
    stages = record.get("stages")
    for stage in map(_mapping, stages if isinstance(stages, list) else ()):
        shown = {"place", "stage", "seconds", "calls", "size", "batch"}
        notes = [
            f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
            for key, value in stage.items()
            if key not in shown and not _is_nested(value)
        ]
        size = " x ".join(map(str, stage["size"])) if isinstance(stage.get("size"), list) else ""
        cells = [str(stage.get("place", "")), str(stage.get("stage", "")), str(stage.get("seconds", ""))]
        rows.append([Cell(text) for text in (*cells, str(stage.get("calls", "")), size, ", ".join(notes))])
    title = f"{record.get('calls', '?')} network calls, {record.get('seconds', '?')} s"
    return Table(title, ("place", "stage", "seconds", "calls", "size", "entries"), rows)


def json_text(value: Any) -> str:
    """A value as indented JSON; a note if it is nested too deeply."""
    try:
        return json.dumps(value, indent=1, ensure_ascii=False)
    except RecursionError:
        return "nested too deeply to be shown"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict | list) for v in value))


def _row(name: str, record: Any) -> list[Cell]:
    record = _mapping(record)
    output, stages = _mapping(record.get("output")), record.get("stages")
    names = [str(_mapping(stage).get("stage", "")) for stage in stages] if isinstance(stages, list) else []
    calls, seconds, size = (_number(v) for v in (record.get("calls"), record.get("seconds"), output.get("bytes")))
    return [
        Cell(name),
        Cell("" if math.isnan(calls) else f"{calls:g}", calls),
        Cell("" if math.isnan(seconds) else f"{seconds:.2f}", seconds),
        Cell(", ".join(names)),
        Cell("" if math.isnan(size) else f"{size / 1000:.1f}", size),
        Cell(str(output.get("sha256", ""))[:12]),
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
