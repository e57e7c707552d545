"""One table of all records of an output folder: a file that others can query, instead of millions of small ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from odekit.core.files import replacing
from odekit.errors import ConfigError, InputError, PluginError
from odekit.runs.findings import findings_of
from odekit.runs.settings import find_records
from odekit.runs.stores import OutputStore

COLUMNS = {
    "name": "string", "input": "string", "input_bytes": "int64", "input_sha256": "string", "width": "int32",
    "height": "int32", "output": "string", "output_bytes": "int64", "output_sha256": "string", "changed": "bool",
    "faces": "int32", "restored": "int32", "findings": "string", "calls": "int32",
    "seconds": "float64", "seed": "int64",
    "device": "string", "precision": "string", "slots": "int32",
}  # fmt: skip
"""Columns of the table, with their types in Arrow."""
ROWS_PER_GROUP = 10_000
"""Rows that are in memory at once; a row group of the Parquet file."""
SUFFIXES = (".parquet", ".jsonl")


def rows(store: OutputStore) -> Iterator[dict[str, Any]]:
    """One row for each readable record of a folder, in no order; entries that a record lacks are None."""
    for name, record in find_records(store):
        yield row_of(name.removesuffix(".json"), record)


def row_of(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of one record; a record may contain anything."""
    source, output = (value if isinstance(value := record.get(key), dict) else {} for key in ("input", "output"))
    size = source.get("size")
    width, height = size if isinstance(size, list) and len(size) == 2 else (None, None)
    row: dict[str, Any] = {
        "name": name, "input": source.get("path"), "input_bytes": source.get("bytes"),
        "input_sha256": source.get("sha256"), "width": width, "height": height, "output": output.get("path"),
        "output_bytes": output.get("bytes"), "output_sha256": output.get("sha256"),
    }  # fmt: skip
    row |= {key: record.get(key) for key in ("changed", "calls", "seconds", "seed", "device", "precision", "slots")}
    try:
        findings = findings_of(record)
        row |= {"faces": findings.faces, "restored": sum(findings.restored.values()), "findings": findings.text}
    except Exception:
        row |= {"faces": None, "restored": None, "findings": None}
    return {key: _fitting(row[key], kind) for key, kind in COLUMNS.items()}


def _fitting(value: Any, kind: str) -> Any:
    """The value where it is of the kind of its column, else None."""
    if kind == "float64":
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind.startswith("int"):
        limit = 1 << (int(kind[3:]) - 1)
        return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < limit else None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    # File names that are not valid Unicode have no place in a table.
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else None


def write_index(store: OutputStore, path: Path) -> int:
    """Write the table of a folder as Parquet (needs pyarrow) or as lines of JSON, by the suffix; returns its rows.

    Memory does not grow with the number of records.

    Raises:
        ConfigError: another suffix.
        InputError: there is no record.
        PluginError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"--to {path}: name a file that ends with {' or '.join(SUFFIXES)}")
    found = rows(store)
    first = next(found, None)
    if first is None:
        raise InputError(f"{store}: has no records; name the folder given to -o")
    write = _write_parquet if path.suffix == ".parquet" else _write_lines
    with replacing(path) as temporary:
        return write(itertools.chain([first], found), temporary)


def _write_lines(found: Iterable[Mapping[str, Any]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for row in found:
            file.write(json.dumps(row) + "\n")
            count += 1
    return count


def _write_parquet(found: Iterable[Mapping[str, Any]], path: Path) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PluginError("Parquet files need pyarrow; pip install pyarrow, or name a file .jsonl") from error
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    count = 0
    rest = iter(found)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rest, ROWS_PER_GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count
