"""Run a script of cells (`# %%`) and keep what a notebook would show: the value of each cell's last line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CELL = re.compile(r"^# %%(?P<text> \[markdown\])?.*$", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell, with what it showed."""

    code: str
    """Python; empty for a cell of text."""
    text: str = ""
    """Markdown."""
    shown: str = ""
    """The value of the last line as text."""
    picture: bytes | None = None
    """The value as PNG, if it has one."""


def cells_of(source: str) -> Iterator[tuple[bool, str]]:
    """(is text, content) of every cell."""
    marks = [*CELL.finditer(source)]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        content = source[mark.end() : following.start() if following else len(source)].strip("\n")
        if mark["text"]:
            yield True, "\n".join(line.removeprefix("#").removeprefix(" ") for line in content.splitlines())
        elif content:
            yield False, content


def run(path: Path) -> list[Cell]:
    """Run all cells of a script in one namespace. Raises what a cell raises."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    source, cells = path.read_text(encoding="utf-8"), []
    for is_text, content in cells_of(source):
        if is_text:
            cells.append(Cell("", content))
            continue
        # Empty lines before the cell keep the numbers of its lines, so that its source is found in the file.
        tree = ast.parse("\n" * source[: source.index(content)].count("\n") + content)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        value = (
            eval(compile(ast.Expression(last.value), str(path), "eval"), names) if isinstance(last, ast.Expr) else None
        )
        picture = value._repr_png_() if "_repr_png_" in dir(value) else None
        cells.append(Cell(content, shown="" if value is None or picture else repr(value).strip("'\""), picture=picture))
    return cells


def page(path: Path, folder: Path) -> str:
    """The Markdown of a script that was run; its pictures are written into `folder`."""
    lines = []
    for number, cell in enumerate(run(path)):
        if cell.text:
            lines += [cell.text, ""]
            continue
        lines += ["```python", cell.code, "```", ""]
        if cell.shown:
            lines += ["```text", cell.shown, "```", ""]
        if cell.picture:
            name = f"{path.stem}-{number}.png"
            (folder / name).write_bytes(cell.picture)
            lines += [f"![Output of the cell above]({name}){{ width=256 }}", ""]
    return "\n".join(lines)
