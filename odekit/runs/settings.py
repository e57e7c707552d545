"""The settings of an output folder: what its results depend on. Kept in run.json, and found again in the records.

A power failure may empty run.json. The settings then come from the records, which hold the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from odekit.chains.record import RECORD_SCHEMA
from odekit.core.device import LARGEST_BATCH_SIZE, LARGEST_THREADS
from odekit.core.precision import PRECISIONS
from odekit.errors import ConfigError
from odekit.runs.layout import LAYOUTS, TREE, layout_of
from odekit.runs.stores import SETTINGS, OutputStore, as_store, read_json_in

FILE = SETTINGS
RESOLVED_PRECISIONS = tuple(name for name in PRECISIONS if name != "auto")
"""What a run has after it began; another name in a file is damage."""
RAN_OUT = re.compile(r"ran out with (\d+) slots")
"""Entry `memory` of records that were written with a smaller batch size than the run began with."""


@dataclass(frozen=True)
class RunSettings:
    """What the results of a folder depend on."""

    chain: Mapping[str, Any]
    seed: int
    device: str
    precision: str
    slots: int
    threads: int
    depends: Mapping[str, Any] = field(default_factory=dict)
    """A `Dependencies.tree`; empty in folders of older versions."""
    versions: Mapping[str, Any] = field(default_factory=dict)
    precision_choices: Any = None
    """How the precision was chosen (`odekit.chains.execution.Execution`); not in the records."""
    redo_undated: bool = False
    """Records without dependencies, of older versions, do not count: something has changed since."""
    layout: str = TREE
    """Where results lie in the output folder (`odekit.runs.layout`); not in the records."""

    @property
    def machine(self) -> dict[str, Any]:
        """Device, precision, batch size and threads."""
        return {"device": self.device, "precision": self.precision, "slots": self.slots, "threads": self.threads}

    @property
    def shared(self) -> dict[str, Any]:
        """The entries of the records that are the same for the whole run."""
        asked = {"chain": self.chain, "seed": self.seed}
        return asked | self.machine | {"depends": self.depends, "versions": self.versions}

    def write(self, out: Path | OutputStore, first: bool = False) -> None:
        """Write run.json (`OutputStore.put_settings`). Raises OSError."""
        redo = {"redo_undated": True} if self.redo_undated else {}
        chosen = {"precision_choices": self.precision_choices} if self.precision_choices else {}
        layout = {} if self.layout == TREE else {"layout": self.layout}
        as_store(out).put_settings({"schema": RECORD_SCHEMA} | self.shared | chosen | redo | layout, first)


def parse_settings(data: Any) -> RunSettings | None:
    """Settings from the content of run.json or of a record; None if they are not complete and plausible."""
    if not isinstance(data, dict) or data.get("schema") != RECORD_SCHEMA:
        return None
    chain, device, precision = (data.get(key) for key in ("chain", "device", "precision"))
    seed, slots, threads = (_whole(data.get(key)) for key in ("seed", "slots", "threads"))
    if not isinstance(chain, dict) or not isinstance(device, str) or precision not in RESOLVED_PRECISIONS:
        return None
    if seed is None or not 1 <= (slots or 0) <= LARGEST_BATCH_SIZE or not 1 <= (threads or 0) <= LARGEST_THREADS:
        return None
    assert slots is not None
    assert threads is not None
    assert isinstance(precision, str)
    depends, versions = (value if isinstance(value := data.get(key), dict) else {} for key in ("depends", "versions"))
    return RunSettings(
        chain,
        seed,
        device,
        precision,
        slots,
        threads,
        depends,
        versions,
        data.get("precision_choices"),
        data.get("redo_undated") is True,
        layout if (layout := data.get("layout")) in LAYOUTS else TREE,
    )


def _whole(value: Any) -> int | None:
    """A whole number of at least 0, not a truth value; else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_settings(out: Path | OutputStore) -> RunSettings | None:
    """The settings with which the results of a folder were made; None if it has no results.

    Raises:
        ConfigError: run.json is missing or damaged, and the records disagree.
    """
    store = as_store(out)
    records = find_records(store)
    first = next(records, None)
    stored = parse_settings(read_json_in(store, FILE))
    if stored is not None:
        if first is None and not has_results(store):
            return None
        return stored if stored.depends or first is None else _with_weights_of(first[1], stored)
    if first is None:
        return None
    found = replace(_initial(first[1], _settings_of(first[1])), layout=layout_of(first[0]))
    for name, record in records:
        settings = _settings_of(record)
        if _key(settings) != _key(found):
            raise ConfigError(
                f"{store.place(FILE)} is {'damaged' if store.has(FILE) else 'missing'}, and its records are of "
                f"different runs ({store.place(first[0])} and {store.place(name)}); restore {FILE}, or choose another "
                "folder with -o"
            )
        found = replace(_initial(record, settings), layout=found.layout) if settings.slots > found.slots else found
    return found


def _key(settings: RunSettings) -> tuple[Any, ...]:
    return settings.chain, settings.seed, settings.device.partition(":")[0], settings.precision, settings.threads


def _settings_of(record: Mapping[str, Any]) -> RunSettings:
    settings = parse_settings(record)
    assert settings is not None  # by `find_records`
    return settings


def _initial(record: Mapping[str, Any], settings: RunSettings) -> RunSettings:
    """The settings with the batch size before memory ran out."""
    match = RAN_OUT.search(str(record.get("memory", "")))
    slots = int(match[1]) if match and len(match[1]) < 6 else settings.slots
    changed = dict(vars(settings)) | {"slots": slots}
    return RunSettings(**changed)


def _with_weights_of(record: Mapping[str, Any], stored: RunSettings) -> RunSettings:
    """Settings of an older version, which kept the digests of weights in the records only."""
    weights = record.get("weights")
    changed = dict(vars(stored)) | {"depends": {"weights": weights if isinstance(weights, dict) else {}}}
    return RunSettings(**changed)


def stored_layout(store: OutputStore) -> str | None:
    """The layout of the results in a folder; None if it has neither run.json nor results."""
    stored = parse_settings(read_json_in(store, FILE))
    if stored is not None:
        return stored.layout
    name = next((name for name, _ in find_records(store)), None)
    return None if name is None else layout_of(name)


def find_records(store: OutputStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """The readable records of a folder, with their names, in no order. Links are not followed."""
    for name in store.records():
        record = read_json_in(store, name)
        if is_record(record):
            yield name, record


def count_others(store: OutputStore, names: Collection[str], most: int) -> int:
    """Number of records in a folder that are not those of the results `names`; the count ends above `most`."""
    count = 0
    for name in store.records():
        if name.removesuffix(".json") not in names and is_record(read_json_in(store, name)):
            count += 1
            if count > most:
                break
    return count


def is_record(content: Any) -> bool:
    """Whether the content of a file is that of a record, whole enough to tell its settings."""
    return parse_settings(content) is not None and isinstance(content.get("output"), dict)


def has_results(store: OutputStore) -> bool:
    """Whether a folder has a record, readable or not."""
    return next(store.records(), None) is not None
