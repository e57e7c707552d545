"""`odekit eval`: pairing by name, groups from the manifest, what has no number, and that it streams."""

import csv
import json
import math
import tracemalloc

import numpy as np
import PIL.Image
import pytest
from degrade_faces import faces as face_pixels
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from odekit.core.image import Image
from odekit.core.options import Options
from odekit.errors import ConfigError, InputError, OdekitError
from odekit.evaluation import measure, panel
from odekit.evaluation.degrade.files import Settings, degrade_files
from odekit.evaluation.evaluate import evaluate
from odekit.evaluation.measure import finite, stream
from odekit.evaluation.pairing import Case, pair, pictures
from odekit.evaluation.results import Results
from odekit.parts.installed import catalog


@pytest.fixture
def clean(tmp_path):
    folder = tmp_path / "clean"
    (folder / "sub").mkdir(parents=True)
    for i in range(6):
        PIL.Image.fromarray(face_pixels()[i]).save(folder / ("sub" if i % 2 else ".") / f"face{i}.png")
    return folder


@pytest.fixture
def damaged(clean, tmp_path):
    degrade_files([clean], tmp_path / "damaged", Settings("paper", 4, seed=2))
    return tmp_path / "damaged"


def restored(damaged, tmp_path, change=lambda pixels: pixels):
    out = tmp_path / "restored"
    for name, path in pictures(damaged).items():
        target = out / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(change(np.asarray(PIL.Image.open(path)))).save(target)
    return out


def table(path):
    return list(csv.DictReader(path.open(encoding="utf-8")))


# --- numbers


def test_every_picture_is_measured_and_means_are_means(clean, damaged, tmp_path):
    out = tmp_path / "out"
    results = evaluate(damaged, clean, metrics="psnr,ssim,swd", out=out)
    rows = table(out / "rows.csv")
    assert len(rows) == len(results.rows) == 6
    for row in rows:
        a, b = (np.asarray(PIL.Image.open(folder / f"{row['picture']}.png")) / 255 for folder in (damaged, clean))
        assert float(row["psnr"]) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-5)
        assert float(row["ssim"]) == pytest.approx(structural_similarity(b, a, data_range=1, channel_axis=2), abs=1e-6)
    whole = results.groups[0]
    assert whole.values["psnr"].value == pytest.approx(np.mean([float(row["psnr"]) for row in rows]))
    assert whole.values["psnr"].low < whole.values["psnr"].value < whole.values["psnr"].high
    assert whole.values["swd"].value > 0
    assert Results.read(out).tree() == results.tree()
    assert [metric.of for metric in results.metrics] == ["pair", "pair", "set"]
    assert (out / results.rows[0].pictures["reference"]).samefile(clean / f"{results.rows[0].picture}.png")


def test_the_damaged_pictures_are_measured_beside_and_compared_pair_by_pair(clean, damaged, tmp_path):
    better = restored(damaged, tmp_path, lambda pixels: pixels)
    for name, path in list(pictures(better).items())[:4]:  # halfway to the clean picture: 6.02 dB better
        a, b = (np.asarray(PIL.Image.open(p)).astype(float) for p in (path, clean / f"{name}.png"))
        PIL.Image.fromarray(np.round((a + b) / 2).astype(np.uint8)).save(path)
    results = evaluate(better, clean, damaged, metrics="psnr")
    assert [method.name for method in results.methods] == ["damaged", "restored"]
    (difference,) = results.differences
    assert (difference.method, difference.against, difference.count) == ("restored", "damaged", 6)
    assert difference.value == pytest.approx(4 / 6 * 20 * math.log10(2), abs=0.1)
    assert difference.low >= 0


def test_groups_are_those_of_the_manifest(clean, tmp_path):
    for kind, severity in (("fog", 2), ("jpeg", 5)):
        degrade_files([clean], tmp_path / "d" / f"{kind}{severity}", Settings(kind, severity))
    lines = []
    for folder in sorted((tmp_path / "d").iterdir()):
        for line in (folder / "manifest.jsonl").read_text().splitlines():
            entry = json.loads(line)
            lines.append(json.dumps(entry | {"output": f"{folder.name}/{entry['output']}"}) + "\n")
    (tmp_path / "all.jsonl").write_text("".join(lines))
    results = evaluate(tmp_path / "d", clean, manifest=tmp_path / "all.jsonl", metrics="psnr,swd")
    found = {(group.kind, group.severity): group for group in results.groups}
    assert set(found) == {("", None), ("fog", 2), ("jpeg", 5)}
    assert [group.pictures for group in results.groups] == [12, 6, 6]
    whole = found["", None].values["psnr"].value
    assert whole == pytest.approx((found["fog", 2].values["psnr"].value + found["jpeg", 5].values["psnr"].value) / 2)
    assert found["fog", 2].values["swd"].value != found["jpeg", 5].values["swd"].value


def test_a_folder_of_all_kinds_pairs_with_the_clean_pictures_by_its_manifest(clean, tmp_path):
    degrade_files([clean], tmp_path / "all", Settings("all"), limit=2)
    results = evaluate(tmp_path / "all", clean, metrics="psnr")
    assert len(results.groups) > 20
    assert sum(row.error == "" for row in results.rows) == 2 * (len(results.groups) - 1)
    assert len(results.problems) == 4  # clean pictures that nothing was made of


def test_processes_and_chunks_change_nothing(clean, damaged, tmp_path, monkeypatch):
    one = evaluate(damaged, clean, metrics="psnr,swd,ciede2000", processes=1)
    two = evaluate(damaged, clean, metrics="psnr,swd,ciede2000", processes=2)
    monkeypatch.setattr(measure, "CHUNK", 2)
    three = evaluate(damaged, clean, metrics="psnr,swd,ciede2000", processes=1)
    assert one.rows == two.rows == three.rows
    assert one.tree()["groups"] == two.tree()["groups"] == three.tree()["groups"]


def test_memory_does_not_grow_with_the_pictures(clean):
    """256 more pairs of 64 px, 6 MB as uint8, may add no more than the numbers themselves."""
    names = sorted(pictures(clean).values())
    chosen = panel.make(panel.choose("psnr"), None)

    def peak(count):
        cases = [Case(f"{i}", names[i % 6], {"restored": names[(i + 1) % 6]}) for i in range(count)]
        tracemalloc.start()
        for _ in stream(cases, chosen, 1):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(320) - peak(64) < 1e6


# --- pairing


def test_endings_do_not_matter_but_two_of_one_name_do(clean, tmp_path):
    out = tmp_path / "jpeg"
    (out / "sub").mkdir(parents=True)
    for name, path in pictures(clean).items():
        PIL.Image.open(path).save(out / f"{name}.jpg")
    (out / "face0.jpg").rename(out / "face0.png.jpg")  # a JPEG that was called face0.png, as `odekit run` writes it
    (out / "stages" / "face0").mkdir(parents=True)
    PIL.Image.open(clean / "face0.png").save(out / "stages" / "face0" / "1-latent.png")
    found = pair(out, clean)
    assert len(found.cases) == 6 and not found.problems
    PIL.Image.open(clean / "face2.png").save(out / "face2.png")
    with pytest.raises(ConfigError, match="share the name 'face2'"):
        pair(out, clean)


def test_missing_extra_and_other_sizes_are_listed_and_in_no_mean(clean, damaged, tmp_path, cli):
    (damaged / "face2.png").unlink()
    PIL.Image.fromarray(face_pixels()[9]).save(damaged / "stranger.png")
    PIL.Image.fromarray(face_pixels()[4]).resize((32, 32)).save(damaged / "face4.png")
    (damaged / "face0.png").write_bytes(b"no picture")
    done = cli("eval", damaged, "--reference", clean, "--metrics", "psnr", "--json")
    assert done.code == 3
    results = Results.from_tree(json.loads(done.out))
    whole = results.groups[0]
    assert (whole.pictures, whole.failed, whole.values["psnr"].count) == (6, 3, 3)
    errors = {row.picture: row.error for row in results.rows if row.error}
    assert "missing: no such picture" in errors["face2"]
    assert "32x32, its reference is 64x64; resize one of them, or use --fit" in errors["face4"]
    assert "is not a picture" in errors["face0"]
    assert any("stranger.png: no picture of" in problem for problem in results.problems)
    assert all(name in done.err for name in ("face2", "face4", "face0", "stranger"))
    fitted = cli("eval", damaged, "--reference", clean, "--metrics", "psnr", "--fit", "--json")
    assert Results.from_tree(json.loads(fitted.out)).groups[0].values["psnr"].count == 4


def test_two_files_pair_whatever_their_names(clean, damaged):
    results = evaluate(damaged / "face0.png", clean / "face2.png", metrics="psnr")
    assert results.rows[0].values["psnr"] > 5
    assert not results.problems


def test_nothing_in_common_and_wrong_manifests_are_refused(clean, damaged, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    PIL.Image.fromarray(face_pixels()[0]).save(other / "x.png")
    with pytest.raises(ConfigError, match="files pair by their names"):
        evaluate(other, clean)
    with pytest.raises(InputError, match=r"nowhere\.jsonl: not a manifest"):
        evaluate(damaged, clean, manifest=tmp_path / "nowhere.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(InputError, match=r"bad\.jsonl: not a manifest"):
        evaluate(damaged, clean, manifest=tmp_path / "bad.jsonl")


# --- what has no number


def test_equal_and_constant_pictures_are_shown_counted_and_left_out(clean, damaged, tmp_path, cli):
    PIL.Image.open(clean / "face0.png").save(damaged / "face0.png")
    for folder in (clean, damaged):
        PIL.Image.new("RGB", (64, 64), (9, 9, 9)).save(folder / "face2.png")
    done = cli("eval", damaged, "--reference", clean, "--metrics", "psnr,sharpness", "-o", tmp_path / "out")
    rows = {row["picture"]: row for row in table(tmp_path / "out" / "rows.csv")}
    assert rows["face0"]["psnr"] == rows["face2"]["psnr"] == "inf"
    assert rows["face2"]["sharpness"] == ""
    assert rows["face2"]["problems"] == "sharpness: no value for this pair"
    values = Results.read(tmp_path / "out").groups[0].values
    assert (values["psnr"].count, values["psnr"].infinite) == (4, 2)
    assert (values["sharpness"].count, values["sharpness"].undefined) == (5, 1)
    assert math.isfinite(values["psnr"].value)
    assert "(2 inf)" in done.out
    assert "2 values are infinite" in done.out


def test_pictures_smaller_than_the_window_say_so(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        PIL.Image.fromarray(face_pixels()[ord(name) % 7][:6, :6]).save(tmp_path / name / "x.png")
    results = evaluate(tmp_path / "a", tmp_path / "b", metrics="psnr,ssim,swd")
    row = results.rows[0]
    assert math.isnan(row.values["ssim"])
    assert row.problems == {"ssim": "6x6 is smaller than the 7 px it needs"}
    assert math.isfinite(row.values["psnr"])
    assert "two pictures or more" in results.groups[0].values["swd"].note


def test_pixels_that_are_not_finite_are_refused():
    with np.errstate(invalid="ignore"):
        image = Image(np.full((3, 4, 4), np.nan, np.float32))
    with pytest.raises(OdekitError, match="not finite"):
        finite(image)


class Fussy:
    """A stranger's metric."""

    lower_is_better = True

    def __init__(self, options, tools):
        self.tools = tools

    def measure(self, restored, reference):
        if restored.pixels.mean() > 0.5:
            raise RuntimeError("too bright")
        return float(restored.pixels.mean())


def test_a_metric_that_fails_on_one_picture_says_so_and_goes_on(clean, damaged, monkeypatch):
    found = catalog()
    monkeypatch.setitem(found.entries, ("metric", "fussy"), [])
    from odekit.plugins.catalog import PluginCatalog

    PluginCatalog(found, "stranger").metric("fussy", Fussy, Options, "a stranger's")
    PIL.Image.new("RGB", (64, 64), "white").save(damaged / "face0.png")
    results = evaluate(damaged, clean, metrics="fussy,psnr")
    row = next(row for row in results.rows if row.picture == "face0")
    assert row.problems == {"fussy": "RuntimeError: too bright"}
    assert results.groups[0].values["fussy"].count < 6
    assert results.metrics[0].better == "lower"


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("psnr,ssym", "--metrics: unknown metric 'ssym'; did you mean 'ssim'"),
        ("psnr,psnr", "names 'psnr' twice"),
        ("{use: ssim, windw: gaussian}", "unknown option of metric 'ssim'; did you mean 'window'"),
        (",", "not valid YAML|is empty"),
    ],
)
def test_wrong_metrics_are_refused_with_the_nearest_name(clean, damaged, metrics, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(damaged, clean, metrics=metrics)


def test_options_of_a_metric_have_an_effect(clean, damaged):
    uniform = evaluate(damaged, clean, metrics="ssim").groups[0].values["ssim"].value
    gaussian = evaluate(damaged, clean, metrics="{use: ssim, window: gaussian}").groups[0].values["ssim"].value
    assert uniform != gaussian


def test_the_commands_own_metrics_need_no_torch(clean, damaged):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from odekit.evaluation.evaluate import evaluate; "
        f"evaluate(Path({str(damaged)!r}), Path({str(clean)!r}), processes=1); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
