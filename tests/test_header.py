"""The size of a picture from its header: right for every format, in no time for every bomb, and never by a decoder."""

import ast
import io
import time
from pathlib import Path

import hostile
import hostile_structures
import numpy as np
import pytest
import tifffile

import odekit
from odekit.images.formats.boxes import largest_size
from odekit.images.formats.header import read_size
from odekit.runs.probe import probe


@pytest.mark.parametrize("name", sorted(hostile.sound()))
def test_the_size_is_that_of_the_decoded_picture(name, tmp_path):
    data = hostile.sound()[name]
    if name.endswith("heic"):
        pytest.importorskip("pi_heif")
    (tmp_path / name).write_bytes(data)
    image = odekit.read(tmp_path / name)
    stated, decoded = sorted(read_size(io.BytesIO(data))), sorted((image.width, image.height))  # it may be turned
    if name.endswith("heic"):  # stored in whole blocks, of which a part is shown
        assert all(0 <= more - side < 64 for more, side in zip(stated, decoded, strict=True))
    else:
        assert stated == decoded


@pytest.mark.parametrize(
    "options", [{"bigtiff": True}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}], ids=str
)
def test_the_size_of_every_kind_of_tiff(options):
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((20, 30), np.uint8), **options)
    assert read_size(io.BytesIO(out.getvalue())) == (30, 20)


def test_a_jpeg_whose_size_comes_after_megabytes_of_metadata():
    data = hostile_structures.JPEG
    wide = b"\xff\xe2\xff\xff" + bytes(65533)
    assert read_size(io.BytesIO(data[:2] + b"\xff\xff\xff" + wide * 100 + data[2:])) == (8, 8)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8\xff", b"BM", b"GIF89a", b"II*\0\xff\xff\xff\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%\n" * 99_999],
)
def test_what_states_no_size_has_none(data):
    assert read_size(io.BytesIO(data)) == (0, 0)


@pytest.mark.parametrize("name", sorted(hostile_structures.large(0.0)))
def test_bombs_take_no_time(tmp_path, large, name):
    (tmp_path / name).write_bytes(large[name])
    began = time.process_time()
    probe(str(tmp_path / name))
    assert time.process_time() - began < 0.5


@pytest.fixture(scope="module")
def large():
    return hostile_structures.large(0.2)


def test_of_several_pictures_the_largest_is_planned_for():
    data = sorted(hostile.HEIC.glob("several*"))[0].read_bytes()
    assert largest_size(data) == (64, 64)


def test_nothing_is_opened_by_whatever_pillow_knows():
    """`PIL.Image.open` tries all formats of Pillow, those that start other programs included."""
    found = []
    for folder in ("images", "runs", "cli", "chains"):
        for path in sorted((Path(odekit.__file__).parent / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                    "PIL.Image.open",
                    "Pil.open",
                    "Image.open",
                ):
                    found.append((path.name, node.lineno))
    assert found == []
