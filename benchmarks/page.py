"""`python -m benchmarks page`: fills the generated blocks of a docs page from the JSON files of benchmarks.

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; NAME is the stem of the JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.table import format_value
from odekit.core.files import write_atomic
from odekit.errors import InputError
from odekit.evaluation.experiments.markdown import replace_block


def command(
    results: Annotated[list[Path], typer.Argument(help="JSON files that benchmarks printed.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page with the markers.")] = Path("docs/solvers.md"),
) -> None:
    """Fill the generated tables of a docs page from the JSON files of benchmarks; all other text stays.

    Example: python -m benchmarks page docs/solvers/*.json -o docs/solvers.md
    """
    try:
        text = out.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: cannot be read ({error.strerror}); name the page with the markers") from error
    write_atomic(fill(text, results, str(out)).encode(), out)


def fill(text: str, results: Sequence[Path], page: str = "the page") -> str:
    """The text of a page with the blocks of these JSON files replaced.

    Raises:
        InputError: a file that is not the JSON of a benchmark, or one without a block in the page.
    """
    for path in results:
        filled = replace_block(text, path.stem, section(read_result(path)))
        if filled is None:
            raise InputError(
                f"{page} has no marker '<!-- begin {path.stem} -->'; the figures of {path} belong on another page"
            )
        text = filled
    return text


def read_result(path: Path) -> dict[str, Any]:
    """The JSON of one benchmark. Raises InputError where it is something else."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["columns"] and tree["rows"] and tree["command"] and "goals" in tree:
            return dict(tree)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the JSON of a benchmark ({error}); write it with --json") from error
    raise InputError(f"{path}: not the JSON of a benchmark; write it with --json")


def section(tree: dict[str, Any]) -> str:
    """One table and its goals as Markdown; empty columns are left out."""
    columns = {
        key: head for key, head in tree["columns"].items() if any(row[key] not in (None, "") for row in tree["rows"])
    }
    lines = [
        f"`{tree['command']}`: {tree['how']}.",
        "",
        "| " + " | ".join(columns.values()) + " |",
        "|---" * len(columns) + "|",
    ]
    lines += ["| " + " | ".join(format_value(row[key]) for key in columns) + " |" for row in tree["rows"]]
    missed = [goal for goal in tree["goals"] if not goal["reached"]]
    if tree["goals"]:
        lines += ["", f"Figures to reach: {len(tree['goals']) - len(missed)} of {len(tree['goals'])} reached."]
    lines += [f"- missed: {goal['name']}: {goal['value']}, goal {goal['goal']}" for goal in missed]
    return "\n".join(lines)
