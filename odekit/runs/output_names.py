"""Unique names for the results of a run, also on file systems that ignore case or the Unicode form of names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from odekit.errors import InputError
from odekit.runs.inputs import Job, name_key
from odekit.runs.layout import HASHED, TREE, hashed_name
from odekit.runs.own_names import own_name
from odekit.runs.settings import find_records, is_record
from odekit.runs.stores import OutputStore, read_json_in

MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4095
"""Longest name of a file, and longest path, of most file systems."""
RECORD_SUFFIX = ".json"


@dataclass(frozen=True)
class NameRules:
    """How the names of results follow from those of the inputs.

    Args:
        suffix: of the output format; None: each result keeps the suffix of its input.
        corrections: suffixes that `write_result` may append to a name whose suffix does not match its format.
        extras: names of the pictures written beside each result, as NAME.EXTRA.png.
        appended: where `suffix` is None, what is appended to names with a suffix of a format that is not written.
        keeps_stages: the run writes the folder `stages`.
        layout: of the output folder.
    """

    suffix: str | None
    corrections: Sequence[str]
    extras: Sequence[str] = ()
    appended: Mapping[str, str] = field(default_factory=dict)
    keeps_stages: bool = False
    layout: str = TREE

    def name(self, plain: str) -> str:
        """The name of a result, if no other result has it."""
        if self.suffix:
            name = os.path.splitext(plain)[0] + self.suffix
        else:
            ending = self.appended.get(os.path.splitext(plain)[1].lower())
            name = plain + ending if ending else plain
        return hashed_name(name) if self.layout == HASHED else name

    @property
    def used_corrections(self) -> Sequence[str]:
        """The suffixes that may be appended."""
        return () if self.suffix else self.corrections

    def written(self, name: str) -> Iterator[str]:
        """Every name that may be written for the result `name`: it, with a suffix appended, its record, its extras."""
        yield name
        for suffix in (*self.used_corrections, RECORD_SUFFIX):
            yield name + suffix
        for extra in self.extras:
            yield from (f"{base}.{extra}.png" for base in (os.path.splitext(name)[0], name))

    @property
    def longest_ending(self) -> int:
        """Bytes that the longest name beside a result has more than the result's own."""
        extras = (f".{extra}.png" for extra in self.extras)
        return max(len(os.fsencode(ending)) for ending in (RECORD_SUFFIX, *self.used_corrections, *extras))


def with_final_names(
    jobs: Sequence[Job], rules: NameRules, recorded: Callable[[], RecordedNames] | None = None, out: str = ""
) -> list[Job]:
    """The jobs with their final, unique names.

    A result keeps the name that it has on record, whatever other inputs have appeared since. Otherwise the first job
    with a name keeps it.

    Args:
        jobs: in order.
        rules: for their names.
        recorded: reads the names on record; called only where several jobs compete for a name.
        out: the output folder; names that are too long for it become errors.
    """
    wanted = [rules.name(job.name) for job in jobs]  # once: of ten million names, each costs a digest
    names = _unique_names(jobs, wanted, rules, {})
    if recorded is not None and (names != wanted or any(job.plain for job in jobs)):
        kept = recorded()
        found = {i: name for i, job in enumerate(jobs) if (name := kept.of(job, rules.name(job.alone)))}
        names = _unique_names(jobs, wanted, rules, found)
    longest, longest_path = _limits(out)
    longest, longest_path = longest - rules.longest_ending, longest_path - rules.longest_ending - len(os.fsencode(out))
    named = []
    for job, wish, name in zip(jobs, wanted, names, strict=True):
        error = job.error
        if len(name) * 4 > min(longest, longest_path) and error is None:
            size, path_size = len(os.fsencode(os.path.basename(name))), len(os.fsencode(name)) + 1
            if size > longest or path_size > longest_path:
                error = InputError(
                    f"{job.file}: its name is too long for what is written beside the result; shorten it"
                )
        if error is None and (own := own_name(name, rules.keeps_stages)):
            error = InputError(
                f"{job.file}: {own} in the output folder is the run's own; rename the file, or its folder"
            )
        plain = rules.name(job.plain) if job.plain else wish
        unchanged = name is job.name and error is job.error and plain == name
        named.append(job if unchanged else Job(job.file, name, error, job.link, "" if plain == name else plain))
    return named


def _unique_names(jobs: Sequence[Job], wanted: Sequence[str], rules: NameRules, kept: Mapping[int, str]) -> list[str]:
    """A unique name for each job, the `wanted` one if it is free; those of `kept`, by index, come first."""
    assigned = AssignedNames(rules.used_corrections, rules.extras)
    fixed = {i: name for i, name in kept.items() if assigned.assign_exact(name)}
    return [
        fixed[i] if i in fixed else assigned.assign(name, job.file)
        for i, (job, name) in enumerate(zip(jobs, wanted, strict=True))
    ]


def _limits(out: str) -> tuple[int, int]:
    """Longest name and longest path in a folder, in bytes; the folder may not exist yet."""
    folder = next((path for path in (Path(out), *Path(out).absolute().parents) if path.is_dir()), Path())
    try:
        return os.pathconf(folder, "PC_NAME_MAX"), MAX_PATH_BYTES
    except (OSError, ValueError, AttributeError):
        return MAX_NAME_BYTES, MAX_PATH_BYTES


class RecordedNames:
    """The names of the results in an output folder, by their inputs.

    Args:
        store: the folder.
    """

    def __init__(self, store: OutputStore) -> None:
        self.by_path: dict[str, str] = {}
        """Absolute path of the input -> name."""
        self.owners: dict[str, str] = {}
        """Name -> file name of the input, which stays when an archive is moved."""
        for path, record in find_records(store):
            source = record.get("input")
            file = source.get("path") if isinstance(source, dict) else None
            if isinstance(file, str):
                name = path.removesuffix(RECORD_SUFFIX)
                self.by_path[os.path.abspath(file)] = name
                self.owners[name] = os.path.basename(file)

    def of(self, job: Job, name: str) -> str:
        """The name on record of the result of a job that would be `name` without other inputs; empty if none is.

        A name of another format, from an earlier run, is none.
        """
        found = self.by_path.get(os.path.abspath(job.file), "")
        if os.path.splitext(found)[1] == os.path.splitext(name)[1]:
            return found
        return name if self.owners.get(name) == os.path.basename(job.file) else ""


class PresentFiles:
    """The files in an output folder that results would replace. Each folder is listed once.

    Args:
        store: the folder.
        rules: for the names of results.
    """

    def __init__(self, store: OutputStore, rules: NameRules) -> None:
        self.store = store
        self.rules = rules
        self.folders: dict[str, frozenset[str]] = {}

    def of(self, name: str) -> str:
        """The first file that is written for a result `name` and is there; empty if none is.

        Does not count: a record whose result has gone.
        """
        folder = os.path.dirname(name)
        if folder not in self.folders:
            self.folders[folder] = self.store.names_in(folder)
        present = self.folders[folder]
        for written in self.rules.written(name) if present else ():
            if os.path.basename(written) in present and not (
                written == name + RECORD_SUFFIX and is_record(read_json_in(self.store, written))
            ):
                return written
        return ""


class AssignedNames:
    """The names assigned so far, compared without regard to case and Unicode form.

    Args:
        corrections: suffixes that may be appended to a name later.
        extras: names of the pictures written beside each result.
    """

    def __init__(self, corrections: Iterable[str], extras: Iterable[str] = ()) -> None:
        self.corrections, self.extras = tuple(corrections), tuple(extras)
        self.keys: set[str] = set()

    def assign(self, name: str, file: str) -> str:
        """Assign a unique name: `name`, else the full name of the input plus the suffix, repeated until it is free."""
        if not self.assign_exact(name):
            suffix = os.path.splitext(name)[1] or "~"
            name = os.path.join(os.path.dirname(name), os.path.basename(file) + suffix)
            while not self.assign_exact(name):
                name += suffix
        return name

    def assign_exact(self, name: str) -> bool:
        """Assign a name together with the names of its extras, if all are free; returns whether they were."""
        keys = [name_key(name)]
        # If a suffix is appended to correct a name, the old suffix remains in the names of the extras.
        for base in (os.path.splitext(name)[0], name) if self.extras else ():
            keys += [name_key(f"{base}.{extra}.png") for extra in self.extras]
        if not all(map(self._is_free, keys)):
            return False
        self.keys.update(keys)
        return True

    def _is_free(self, key: str) -> bool:
        """Whether neither a name nor the name with a suffix appended or removed is assigned already."""
        keys = self.keys
        if key in keys:
            return False
        if not self.corrections:
            return True
        if any(key + suffix in keys for suffix in self.corrections):
            return False
        stem, suffix = os.path.splitext(key)
        return suffix not in self.corrections or stem not in keys
