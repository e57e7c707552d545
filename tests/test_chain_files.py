"""Which options of a chain name files, on whose content results depend."""

from pathlib import Path
from typing import Literal

import odekit
from odekit.core.options import LocalPath, Options, file_options
from odekit.runs import digests


def test_a_file_that_is_called_like_a_word_of_an_option_is_none_of_the_chain(tmp_path, monkeypatch):
    """Such as `source`, `auto` or `keep` in the current folder."""
    monkeypatch.chdir(tmp_path)
    chain = tmp_path / "chain.yaml"
    chain.write_text("odekit: 1\nchain:\n  - faces: {each: [{upsample: face-guided}], failed: keep}\n  - save\n")
    loaded = odekit.Chain.load(chain)
    words = sorted(set(texts_in(loaded.tree())))
    assert {"keep", "auto", "face-guided"} <= set(words)
    first = digests.dependencies_of(loaded)
    for word in words:
        (tmp_path / word).write_text("mine")
    assert digests.dependencies_of(loaded) == first
    assert digests.PictureFiles(loaded).by_stem == {}


def texts_in(value):
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts_in(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts_in(inner)]
    return [value] if isinstance(value, str) and value and "/" not in value else []


class Nested(Options):
    tables: list[LocalPath] = []


class Named(Options):
    declared: LocalPath | None = None
    plain: str = ""
    folder: Path | None = None
    mode: Literal["auto", "keep"] = "auto"
    nested: Nested = Nested()


def test_declared_paths_and_texts_written_as_paths_are_files():
    options = Named(declared="a", plain="plugins/b", folder=Path("c"), nested=Nested(tables=["d", "e"]), mode="keep")
    assert sorted(file_options(options)) == ["a", "c", "d", "e", "plugins/b"]
    assert list(file_options(Named(plain="keep"))) == []


def test_the_calibration_of_a_chain_in_the_current_folder_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("act.json").write_text("1")
    chain = odekit.Chain([{"upsample": {"use": "face-guided", "calibration": "act.json"}}])
    assert list(digests.dependencies_of(chain).files) == ["act.json"]
