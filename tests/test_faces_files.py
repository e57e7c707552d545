"""Photographs as files: what `odekit run` keeps of them, whatever kind they are, and how it speaks of faces."""

import json

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from conftest import picture

from odekit import read

CHAIN = """\
odekit: 1
priors: {face: {use: mixture, side: 16}}
chain:
  - faces:
      select: {boxes: [[30, 30, 70, 80]]}
      each:
        - restore: {inverter: {use: ode, steps: 2}, enhancer: none}
      paste: {detail: 0.0}
"""
SMOOTH = np.asarray(PIL.Image.fromarray(picture(3, 12, 16)).resize((160, 120), PIL.Image.Resampling.BICUBIC))


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "faces.yaml"
    path.write_text(CHAIN)
    return path


def png(path, array=SMOOTH, **more):
    PIL.Image.fromarray(array).save(path, **more)
    return path


def alpha(path):
    return png(path.with_suffix(".png"), np.dstack([SMOOTH, np.tile(np.arange(160, dtype=np.uint8), (120, 1))]))


def grey(path):
    return png(path.with_suffix(".png"), SMOOTH[..., 0])


def deep(path):
    wide = SMOOTH.astype(np.uint16) * 257 + 3
    tifffile.imwrite(path.with_suffix(".tif"), wide, photometric="rgb")
    return path.with_suffix(".tif")


def cmyk(path):
    PIL.Image.fromarray(SMOOTH).convert("CMYK").save(path.with_suffix(".jpg"), quality=95)
    return path.with_suffix(".jpg")


def turned(path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(np.rot90(SMOOTH).copy()).save(path.with_suffix(".jpg"), exif=exif, quality=95)
    return path.with_suffix(".jpg")


def profiled(path):
    icc = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    return png(path.with_suffix(".png"), icc_profile=icc)


@pytest.mark.parametrize("make", [alpha, grey, deep, cmyk, turned, profiled], ids=lambda make: make.__name__)
def test_files_of_every_kind_keep_what_they_are(cli, chain, tmp_path, make):
    source = make(tmp_path / "photo")
    done = cli("run", chain, source, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    before, after = read(source), read(tmp_path / "out" / source.name)
    assert (after.width, after.height) == (before.width, before.height)
    for name in ("format", "bits", "grey", "icc"):
        assert getattr(after.meta, name) == getattr(before.meta, name) or make is cmyk
    if before.alpha is not None:
        assert np.array_equal(after.alpha, before.alpha)
    lossless = before.meta.format in ("PNG", "TIFF")
    far = np.abs(after.pixels - before.pixels)[:, :, 120:]
    assert far.max() == 0 if lossless else far.mean() < 0.02
    assert np.abs(after.pixels - before.pixels)[:, 40:75, 35:65].mean() > 0.01


def test_boxes_of_a_file_are_its_own(cli, chain, tmp_path):
    for name in ("a.png", "b.png"):
        png(tmp_path / name)
    (tmp_path / "boxes.json").write_text(json.dumps({"a.png": [[30, 30, 70, 80]], "b.png": []}))
    boxes = f"faces.select.boxes={tmp_path / 'boxes.json'}"
    done = cli("run", chain, tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", "--set", boxes)
    assert done.code == 0 and "b.png: no face found" in done.out and not done.err
    record = json.loads((tmp_path / "out" / "a.png.json").read_text())["stages"][0]
    assert len(record["faces"]) == 1 and record["calls"] == 4
    assert (read(tmp_path / "out" / "b.png").pixels == read(tmp_path / "b.png").pixels).all()


def test_require_face_makes_a_photograph_without_one_a_failure(cli, chain, tmp_path):
    png(tmp_path / "a.png")
    none = ["--set", "faces.select.boxes=[]"]
    done = cli("run", chain, tmp_path / "a.png", "-o", tmp_path / "out", "--require-face", *none)
    assert done.code == 3 and "no face found" in done.err


def test_stages_of_every_face_are_kept_when_asked(cli, chain, tmp_path):
    png(tmp_path / "a.png")
    done = cli("run", chain, tmp_path / "a.png", "-o", tmp_path / "out", "--keep-stages")
    assert done.code == 0, done.err
    names = {p.name for p in (tmp_path / "out" / "stages").rglob("*.png")}
    assert any("face1-restore" in name for name in names), names


def test_a_panorama_and_one_pixel(cli, chain, tmp_path):
    png(tmp_path / "wide.png", picture(1, 60, 1500))
    png(tmp_path / "dot.png", picture(1, 1, 1))
    done = cli("run", chain, tmp_path / "wide.png", tmp_path / "dot.png", "-o", tmp_path / "out")
    assert done.code == 0, done.err
