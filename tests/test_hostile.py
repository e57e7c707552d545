"""Hostile files: no crash, no hang over five seconds, no memory beyond a bound; a picture or one line, never more."""

import ast
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import hostile
import hostile_structures
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odekit
from odekit.chains import document as yamldoc
from odekit.chains.chain import Chain
from odekit.core.files import read_json
from odekit.errors import OdekitError
from odekit.runs.events import read_events
from odekit.runs.resume import CompletionCheck


def read_apart(folder):
    """What a process of its own, with little memory, makes of the files in a folder."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(folder)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, f"the process died: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def check(rows):
    wrong = [row for row in rows if row["said"] not in ("picture", "refused")]
    assert wrong == []
    slow = [row for row in rows if row["seconds"] > hostile.SECONDS]
    assert slow == []


@pytest.fixture(autouse=True)
def with_heif():
    pytest.importorskip("pi_heif")


def test_the_corpus_is_sound_before_it_is_mutated(tmp_path):
    for name, data in hostile.sound().items():
        (tmp_path / name).write_bytes(data)
    assert {row["said"] for row in read_apart(tmp_path)} == {"picture"}


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.long)])
def test_mutated_files_of_all_formats(tmp_path, count):
    seeds, rng = hostile.sound(), np.random.Generator(np.random.Philox(count))
    names = sorted(seeds)
    said = []
    for start in range(0, count, 1000):
        folder = tmp_path / str(start)
        folder.mkdir()
        for i in range(start, min(start + 1000, count)):
            name = names[i % len(names)]
            (folder / f"{i:05}-{name}").write_bytes(hostile.mutated(seeds[name], rng))
        rows = read_apart(folder)
        check(rows)
        said += [row["said"] for row in rows]
    assert len(said) == count
    assert 0.05 < said.count("picture") / count < 0.95, "the mutations are too strong or too weak to say anything"


def test_bombs_are_refused_or_harmless(tmp_path):
    for name, data in hostile.bombs().items():
        (tmp_path / name).write_bytes(data)
    rows = read_apart(tmp_path)
    check(rows)
    refused = {row["name"] for row in rows if row["said"] == "refused"}
    assert {"wide.png", "square.png", "deep.png", "deflate.tif", "circle.tif", "ten-thousand-pages.tif",
            "canvas.webp", "huge.bmp", "rle.bmp"} <= refused  # fmt: skip
    assert not {"film.png", "film.webp", "film.gif", "film.tif"} & refused  # their first frame is read


@pytest.mark.parametrize("count", [280, pytest.param(10_000, marks=pytest.mark.long)])
def test_bombs_of_directories_markers_chunks_and_boxes_of_all_formats(tmp_path, count):
    """One half as the generator makes them, one half damaged as well."""
    rng = np.random.Generator(np.random.Philox(count))
    kinds = sorted(hostile_structures.KINDS)
    said = []
    for start in range(0, count, 500):
        folder = tmp_path / str(start)
        folder.mkdir()
        for i in range(start, min(start + 500, count)):
            kind = kinds[i // 2 % len(kinds)]
            data = hostile_structures.bomb(kind, rng)
            name = f"{i:05}-{kind}.{hostile_structures.KINDS[kind][0]}"
            (folder / name).write_bytes(hostile.mutated(data, rng) if i % 2 else data)
        rows = read_apart(folder)
        shutil.rmtree(folder)
        check(rows)
        said += [row["said"] for row in rows]
    assert len(said) == count
    assert 0.1 < said.count("picture") / count < 0.9, "the bombs are too broken, or too harmless, to say anything"


@pytest.mark.parametrize("scale", [0.03, pytest.param(1.0, marks=pytest.mark.long)])
def test_large_bombs_are_refused_or_cost_as_much_as_their_bytes(tmp_path, scale):
    for name, data in hostile_structures.large(scale).items():
        (tmp_path / name).write_bytes(data)
    rows = read_apart(tmp_path)
    check(rows)
    refused = {row["name"] for row in rows if row["said"] == "refused"}
    assert {
        "markers.jpg", "padding.jpg", "junk.jpg", "scans.jpg", "chunks.png", "pieces.png", "pieces-deep.png",
        "profiles.png", "comments.gif", "nowhere.bmp", "nested.tif", "main.tif",
    } <= refused  # fmt: skip
    # Only their EXIF is hostile, and it is left out.
    assert not {"exif.jpg", "exif.png", "exif.webp", "exif.avif"} & refused


def test_a_picture_with_hostile_exif_is_read_without_it_and_upright(tmp_path):
    rng = np.random.Generator(np.random.Philox(2))
    block = hostile_structures.exif_block(rng, 3000, 60_000, nested=False)
    entry = block.index(struct.pack("<HHI", 0x0112, 3, 1))
    block = block[: entry + 8] + struct.pack("<I", 6) + block[entry + 12 :]
    wide = PIL.Image.fromarray(rng.integers(0, 256, (10, 30, 3), dtype=np.uint8))
    for form, ending in (("PNG", "png"), ("WEBP", "webp"), ("JPEG", "jpg")):
        wide.save(tmp_path / f"a.{ending}", form, exif=block if form != "JPEG" else b"Exif\0\0" + block[:65_000])
        image = odekit.read(tmp_path / f"a.{ending}")
        assert (image.width, image.height) == (10, 30)
        assert image.meta.exif is None


TEXT = st.text(max_size=300) | st.text(alphabet="{}[]:,-&*!|>'\"\n ab01.%@#", max_size=300)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_any_text_is_a_chain_or_one_line(text):
    try:
        document = yamldoc.parse_yaml(text, "chain.yaml")
        Chain.from_document(document)
    except OdekitError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch pwned']",
        "chain: !!python/name:os.system",
        "a: &a [x, x]\nb: [*a, *a]",
        "<<: {a: 1}\nchain: [restore]",
        "chain: !include /etc/passwd",
    ],
)
def test_yaml_is_data(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OdekitError):
        Chain.from_document(yamldoc.parse_yaml(text, "chain.yaml"))
    assert list(tmp_path.iterdir()) == []


def test_yaml_expands_no_environment_and_reads_no_file(monkeypatch):
    monkeypatch.setenv("SECRET", "told")
    with pytest.raises(OdekitError) as caught:
        Chain.from_document(yamldoc.parse_yaml("odekit: 1\nchain:\n  - $SECRET\n", "chain.yaml"))
    assert "told" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(DATA)
def test_any_record_proves_nothing_it_does_not_hold(tmp_path_factory, record):
    out, source = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("in") / "a.png"
    source.write_bytes(b"a picture")
    (out / "a.png").write_bytes(b"a result")
    (out / "a.png.json").write_text(json.dumps(record))
    assert CompletionCheck(str(out), lambda record: True).done("a.png", str(source)) is False


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_as_records_and_logs(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "run.jsonl"
    path.write_bytes(data)
    read_json(path)
    for event in read_events(path):
        assert isinstance(event["event"], str)


def test_deeply_nested_json_is_no_record(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    assert read_json(tmp_path / "a.json") is None


FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load"}
FORBIDDEN_OPTIONS = {("shell", True), ("allow_pickle", True), ("weights_only", False)}
ALLOWED = {
    ("worker_pipe.py", "pickle.loads"),
    ("workers.py", "pickle.loads"),
}  # both ends of that pipe are this program


def test_nothing_is_evaluated_or_unpickled():
    found = []
    for path in sorted(Path(odekit.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in FORBIDDEN_CALLS and (path.name, name) not in ALLOWED:
                    found.append((path.name, node.lineno, name))
                for word in node.keywords:
                    value = word.value.value if isinstance(word.value, ast.Constant) else None
                    if (word.arg, value) in FORBIDDEN_OPTIONS:
                        found.append((path.name, node.lineno, word.arg))
    assert found == []
