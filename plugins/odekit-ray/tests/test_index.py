"""The table of all records as one Parquet file, and the commands of the pages."""

import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet
import pytest
from odekit_ray.cli import ray
from on_ray import odekit
from typer import Typer
from typer.main import get_command

from odekit.runs import index
from odekit.runs.index import COLUMNS, write_index
from odekit.runs.stores import Folder

ROOT = Path(__file__).parents[3]


def test_the_table_has_a_row_for_each_record(exact, faces, tmp_path, monkeypatch):
    out, path = tmp_path / "out", tmp_path / "records.parquet"
    odekit("run", exact, faces, "-o", out, "--layout", "hashed", "--batch-size", 2)
    monkeypatch.setattr(index, "ROWS_PER_GROUP", 3)
    assert write_index(Folder(out), path) == 7
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == list(COLUMNS) and pyarrow.parquet.ParquetFile(path).num_row_groups == 3
    by_name = {row["name"].rpartition("/")[2]: row for row in table.to_pylist()}
    record = json.loads(next(out.rglob("face2.png.json")).read_text())
    row = by_name["face2.png"]
    assert row["input_sha256"] == record["input"]["sha256"] and row["output_bytes"] == record["output"]["bytes"]
    assert (row["width"], row["faces"], row["slots"], row["changed"]) == (32, 1, 2, True)
    assert {len(column) for column in table.columns} == {7} and row["calls"] == record["calls"] > 0


@pytest.mark.parametrize("page", ["README.md", "plugins/odekit-ray/README.md", "docs/scale.md"])
def test_commands_in_the_pages_are_valid(page):
    app = Typer()
    app.command("ray")(ray)
    command = get_command(app)
    lines = re.findall(r"^(?:srun )?odekit ray (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    assert lines or page == "README.md"
    for line in lines:
        words = shlex.split(line.partition("  #")[0])
        command.make_context("ray", words)
