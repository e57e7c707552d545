"""`odekit experiment photos` on an exact prior: every face at every level, figures by level, sheets, wrong input."""

import csv
import json

import numpy as np
import PIL.Image
import pytest
from degrade_faces import faces as face_pixels

from odekit.core.image import Image
from odekit.core.psnr import psnr_of
from odekit.evaluation.experiments import photos
from odekit.evaluation.experiments.faces import at_side
from odekit.evaluation.results import Results

CHAIN = """\
odekit: 1
name: small
priors: {face: {use: mixture, side: 32}}
chain:
  - restore:
      inverter: {use: ode, steps: 4}
      enhancer: {use: langevin, levels: [0, 2], iterations: 3, rule: variance}
"""
LEVELS = "soft: {blur: [8, 9]}\nnoisy: {noise: [30, 31]}\n"


@pytest.fixture
def folder(tmp_path):
    """Three faces of 32 px, a chain and a file of two levels."""
    (tmp_path / "faces").mkdir()
    for i, face in enumerate(face_pixels()[:3]):
        PIL.Image.fromarray(at_side(face[None], 32)[0]).save(tmp_path / "faces" / f"f{i}.png")
    (tmp_path / "small.yaml").write_text(CHAIN)
    (tmp_path / "levels.yaml").write_text(LEVELS)
    return tmp_path


def run(cli, folder, *more):
    return cli(
        "experiment", "photos", "--faces", folder / "faces", "--split", "all", "--side", 32, "--methods",
        f"{folder / 'small.yaml'},resize", "--metrics", "psnr,face-distance", "-o", folder / "out", *more,
    )  # fmt: skip


def test_every_face_is_damaged_at_every_level_and_measured_by_level(cli, folder):
    done = run(cli, folder, "--damage", folder / "levels.yaml")
    assert done.code == 0, done.err
    out = folder / "out"
    names = {path.stem for path in (out / "damaged").glob("*.png")}
    assert names == {f"f{i}-{level}" for i in range(3) for level in ("soft", "noisy")}
    results = Results.read(out)
    groups = {(group.method, group.kind): group for group in results.groups}
    assert {kind for _, kind in groups} == {"", "soft", "noisy"}
    assert all(group.pictures == (3 if kind else 6) for (_, kind), group in groups.items())
    expected = np.mean([psnr(out, i, "soft") for i in range(3)])
    assert groups["damaged", "soft"].values["psnr"].value == pytest.approx(expected, abs=0.01)
    assert groups["small", "soft"].values["face-distance"].value > 0
    assert (
        groups["damaged", "noisy"].values["face-distance"].value
        != groups["damaged", "soft"].values["face-distance"].value
    )
    assert {path.name for path in out.glob("pictures-*.png")} == {"pictures-soft.png", "pictures-noisy.png"}
    assert "each soft, noisy" in (out / "photos.md").read_text()
    rows = list(csv.DictReader((out / "rows.csv").open()))
    assert {row["picture"] for row in rows if row["method"] == "small"} == names


def test_it_goes_on_and_refuses_other_levels(cli, folder):
    assert run(cli, folder, "--damage", folder / "levels.yaml").code == 0
    before = (folder / "out" / "results.json").read_bytes()
    again = run(cli, folder, "--damage", folder / "levels.yaml", "--resume")
    assert (
        again.code == 0
        and json.loads(before)["groups"] == json.loads((folder / "out" / "results.json").read_bytes())["groups"]
    )
    (folder / "levels.yaml").write_text(LEVELS.replace("30, 31", "40, 41"))
    other = run(cli, folder, "--damage", folder / "levels.yaml", "--resume")
    assert other.code == 2 and "another levels" in other.err


def test_the_shipped_levels_are_those_of_the_corruption(tmp_path):
    from odekit.parts.corruptions.photo import HEAVY, MEDIUM, MILD

    levels = {name: json.loads(text) for name, text in photos.read_levels().items()}
    ranges = {"mild": MILD, "medium": MEDIUM, "heavy": HEAVY}
    assert levels == {name: {k: list(v) for k, v in vars(damage).items()} for name, damage in ranges.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mild]", "write levels"),
        ("mild: 3", "write levels"),
        ("a/b: {blur: [1, 2]}", "letters, digits"),
        ("mild: {blurr: [1, 2]}", "blurr"),
        ("mild: {blur: [3, 2]}", "the lower one first"),
    ],
)
def test_wrong_levels_are_refused(cli, folder, text, message):
    (folder / "levels.yaml").write_text(text)
    done = run(cli, folder, "--damage", folder / "levels.yaml")
    assert done.code == 2 and message in done.err and len(done.err.splitlines()) == 1
    assert not (folder / "out").exists()


def test_metrics_that_cannot_be_measured_are_named_and_left_out(monkeypatch):
    lines = []
    chosen = photos.available_metrics("cpu", lines.append)
    assert {"psnr", "face-distance"} <= set(chosen) <= set(photos.METRICS)
    assert len(lines) == len(photos.METRICS) - len(chosen)
    assert all(
        any(line.startswith(f"without {name}: ") for line in lines) for name in set(photos.METRICS) - set(chosen)
    )


def psnr(out, number, level):
    clean, damaged = (
        Image.from_uint8(np.asarray(PIL.Image.open(path))).pixels.astype(np.float64)
        for path in (out / "clean" / f"f{number}.png", out / "damaged" / f"f{number}-{level}.png")
    )
    return psnr_of(float(((clean - damaged) ** 2).mean()))
