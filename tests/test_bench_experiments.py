"""`odekit experiment table1`, `synergy` and `sweep` on an exact prior of 16 px: numbers, resuming, failures, wrong input."""

import csv
import json
import math
import shutil
import signal
import tarfile

import numpy as np
import PIL.Image
import pytest
from degrade_faces import faces as face_pixels
from scipy.ndimage import gaussian_filter

from odekit.chains import document
from odekit.core.image import Image
from odekit.core.interfaces import UpsamplerSpec
from odekit.core.options import Options
from odekit.errors import ConfigError, InputError
from odekit.evaluation import bootstrap
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.evaluate import open_panel
from odekit.evaluation.experiments import markdown, sheets, sweep_file, synergy, tradeoff
from odekit.evaluation.experiments.faces import at_side, faces
from odekit.evaluation.pairing import pictures
from odekit.evaluation.results import Plot, Results
from odekit.images.io import write
from odekit.parts.corruptions.kinds import PAPER_KINDS
from odekit.parts.installed import catalog
from odekit.parts.metrics.sharpness import gradient_energy
from odekit.plugins.catalog import PluginCatalog

CHAIN = """\
odekit: 1
name: small
priors: {face: {use: mixture, side: 16}}
chain:
  - restore:
      inverter: {use: ode, steps: 4}
      enhancer: {use: langevin, levels: [0, 2], iterations: 3, rule: variance}
"""


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(CHAIN)
    return path


def table(cli, chain, out, *more, methods=None, limit=6):
    arguments = ["--methods", methods or f"{chain},resize", "--side", 16, "--limit", limit, "-o", out, *more]
    return cli("experiment", "table1", *arguments)


class Fragile:
    """An upsampler that fails on one picture."""

    spec = UpsamplerSpec(scale=1.0)
    bad = ""

    def __init__(self, options, tools):
        pass

    def upsample(self, images, rng):
        for image in images:
            if image.origin == Fragile.bad:
                raise InputError("this face has no nose")
        return list(images)


@pytest.fixture
def fragile(monkeypatch):
    found = catalog()
    monkeypatch.setitem(found.entries, ("upsampler", "fragile"), [])
    PluginCatalog(found, "stranger").upsampler("fragile", Fragile, Options, "fails on one")
    face = at_side(face_pixels()[[3]], 16)[0]
    Fragile.bad = damage(Image.from_uint8(face), "fog", 0, 4).origin
    return face


# --- table1


def test_the_table_holds_every_method_beside_the_damaged_pictures(cli, chain, tmp_path):
    out = tmp_path / "out"
    done = table(cli, chain, out, "--page", tmp_path / "docs" / "results.md")
    assert done.code == 0, done.err
    results = Results.read(out)
    assert [method.label for method in results.methods] == ["Source (damaged)", "small", "resize"]
    assert [method.calls for method in results.methods] == [None, 4 + 4 + 6, 0]
    assert results.methods[1].seconds > 0
    source, small, resize = results.groups[:3]
    for name in ("psnr", "ssim", "swd", "ciede2000", "sharpness"):
        assert resize.values[name].value == source.values[name].value != small.values[name].value
    assert all(d.value == d.low == d.high == 0 for d in results.differences if d.method == "resize")
    assert {group.kind for group in results.groups} == {"", *PAPER_KINDS[:6]}
    names = [row["picture"] for row in csv.DictReader((out / "rows.csv").open()) if row["method"] == "small"]
    assert len(names) == 6
    page = (out / "table1.md").read_text()
    assert "| Source (damaged) | 6 |" in page
    assert "ODEdit, Table 1, as printed" in page and "On other data than ours" in page
    assert "| ODEdit | 0.24 | 0.6 | 17.8 | 33.81 |" in page
    assert "14 |" in next(line for line in page.splitlines() if line.startswith("| small |"))
    published = (tmp_path / "docs" / "results.md").read_text()
    assert "](results-pictures.png)" in published and (tmp_path / "docs" / "results-pictures.png").is_file()
    assert (out / "table1.csv").is_file() and (out / "pictures.png").is_file()


def test_methods_are_compared_with_each_other_face_by_face(cli, chain, tmp_path):
    done = table(cli, chain, tmp_path / "out", "--against", "small")
    assert done.code == 0, done.err
    differences = {(d.method, d.against): d for d in Results.read(tmp_path / "out").differences if d.metric == "psnr"}
    own, theirs = differences["resize", "small"], differences["small", "damaged"]
    assert own.value == pytest.approx(-theirs.value) and own.low < own.value < own.high
    wrong = table(cli, chain, tmp_path / "wrong", "--against", "smal")
    assert wrong.code == 2 and "no method is called 'smal'; did you mean 'small'?" in wrong.err


def test_faces_are_damaged_in_turn_as_degrade_damages_them(cli, chain, tmp_path):
    out = tmp_path / "out"
    assert (
        table(cli, chain, out, "--kinds", "fog,jpeg", "--severity", 2, "--seed", 7, methods="resize", limit=4).code == 0
    )
    lines = [json.loads(line) for line in (out / "damaged" / "manifest.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["severity"], line["seed"]) for line in lines] == [("fog", 2, 7), ("jpeg", 2, 7)] * 2
    face = at_side(face_pixels()[[16]], 16)[0]  # of 128 faces, 4 taken evenly: 16, 48, 80, 112
    first = np.asarray(PIL.Image.open(out / "damaged" / lines[0]["output"]))
    clean = np.asarray(PIL.Image.open(out / lines[0]["input"]))
    np.testing.assert_allclose(clean.astype(int), face, atol=1)
    np.testing.assert_array_equal(first, damage(Image.from_uint8(clean), "fog", 7, 2).to_uint8())


def test_an_interrupted_run_goes_on_where_its_records_end(cli, chain, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert table(cli, chain, whole).code == 0
    shutil.copytree(whole, out)  # times of files are kept
    method = out / "methods" / "small"
    done = sorted(method.glob("*.png"))
    for path in done[2:]:  # as a killed run leaves it: two faces done, one half written, one without a record
        path.unlink()
        path.with_name(path.name + ".json").unlink()
    done[2].write_bytes(b"half")
    kept = {path: path.stat().st_mtime_ns for path in done[:2]}
    for name in ("results.json", "rows.csv", "table1.md"):
        (out / name).unlink()
    (out / "damaged" / done[5].name).unlink()
    refused = table(cli, chain, out)
    assert refused.code == 2 and "--resume continues, --overwrite starts again" in refused.err
    resumed = table(cli, chain, out, "--resume")
    assert resumed.code == 0, resumed.err
    assert {path: path.stat().st_mtime_ns for path in done[:2]} == kept
    first, second = (Results.read(folder) for folder in (whole, out))
    assert [row.values for row in first.rows] == [row.values for row in second.rows]
    assert first.tree()["groups"] == second.tree()["groups"]
    other = table(cli, chain, out, "--resume", "--severity", 3)
    assert other.code == 2 and "written with another severity; --overwrite" in other.err
    assert table(cli, chain, out, "--overwrite", "--severity", 3).code == 0
    more = table(cli, chain, out, "--resume", "--severity", 3, methods=f"resize,{chain}")  # methods may change
    assert more.code == 0, more.err
    assert [method.name for method in Results.read(out).methods] == ["damaged", "resize", "small"]


def test_ctrl_c_keeps_what_is_finished_and_writes_no_table(cli, chain, tmp_path, monkeypatch):
    from odekit.parts.priors.exact import MixturePrior

    calls = []
    eps = MixturePrior.eps

    def stop(self, x, t):
        calls.append(t)
        if len(calls) == 20:
            signal.raise_signal(signal.SIGINT)
        return eps(self, x, t)

    monkeypatch.setattr(MixturePrior, "eps", stop)
    done = table(cli, chain, tmp_path / "out", "--batch-size", 1)
    assert done.code == 130
    assert not (tmp_path / "out" / "results.json").exists()
    assert len(list((tmp_path / "out" / "methods" / "small").glob("*.png"))) == 1
    monkeypatch.undo()
    assert table(cli, chain, tmp_path / "out", "--resume").code == 0


def test_a_chain_that_fails_on_a_picture_is_counted_listed_and_not_averaged_away(cli, chain, fragile, tmp_path):
    np.savez(
        tmp_path / "f.npz",
        images=at_side(face_pixels()[:6], 16),
        split=["test"] * 6,
        files=[f"f{i}.jpg" for i in range(6)],
    )
    out = tmp_path / "out"
    arguments = ["--faces", tmp_path / "f.npz", "--kinds", "fog"]
    from odekit.images.io import read

    table(cli, chain, out, *arguments, methods="resize")
    Fragile.bad = read(out / "damaged" / "f3.png").origin
    done = table(cli, chain, out, *arguments, "--resume", methods="fragile,resize")
    assert done.code == 3
    results = Results.read(out)
    groups = {group.method: group for group in results.groups if not group.kind}
    assert (groups["fragile"].pictures, groups["fragile"].failed) == (6, 1)
    assert groups["fragile"].values["psnr"].count == 5
    assert groups["resize"].values["psnr"].count == 6
    assert "5 of 6" in done.out
    assert any("f3" in problem and "this face has no nose" in problem for problem in results.problems)
    assert "this face has no nose" in done.err and "no nose" in (out / "table1.md").read_text()
    assert next(row for row in results.rows if row.error).picture == "f3"
    against = {d.metric: d.count for d in results.differences if d.method == "fragile"}
    assert against["psnr"] == 5
    assert any("fragile 1" in note for note in results.notes)


def test_weights_that_are_missing_stop_it_before_the_first_method_runs(cli, fragile, tmp_path, monkeypatch):
    found = catalog()
    monkeypatch.setattr(found, "weights", dict(found.weights))
    PluginCatalog(found, "stranger").weights(
        "fragile", licence="MIT", commercial_use=True, urls=["https://nowhere/f.pth"]
    )
    monkeypatch.setenv("ODEKIT_CACHE", str(tmp_path))
    done = cli(
        "experiment", "table1", "--methods", "resize,fragile", "--side", 16, "--limit", 2, "-o", tmp_path / "out"
    )
    assert done.code == 2 and "odekit weights pull fragile" in done.err
    assert not (tmp_path / "out").exists()


def test_results_of_another_size_are_brought_to_the_references(cli, chain, tmp_path):
    bigger = tmp_path / "bigger.yaml"
    bigger.write_text("odekit: 1\nchain:\n  - upsample: {use: resize, scale: 2, filter: box}\n")
    assert table(cli, chain, tmp_path / "a", methods=str(bigger)).code == 0
    source, doubled = Results.read(tmp_path / "a").groups[:2]
    assert doubled.values["psnr"].value == pytest.approx(source.values["psnr"].value, abs=1e-6)
    assert table(cli, chain, tmp_path / "b", "--reference-side", 32, methods=str(bigger)).code == 0
    results = Results.read(tmp_path / "b")
    clean = PIL.Image.open(tmp_path / "b" / results.rows[0].pictures["reference"])
    small = PIL.Image.open(tmp_path / "b" / results.rows[0].pictures["damaged"])
    assert (clean.size, small.size) == ((32, 32), (16, 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "odedi"], "unknown method 'odedi'; did you mean 'odedit'"),
        (["--methods", "resize,resize"], "two methods are called 'resize'"),
        (["--methods", "none.yaml"], "there is no chain file none.yaml"),
        (["--kinds", "fogg"], "unknown corruption 'fogg'; did you mean 'fog'"),
        (["--severity", "6"], "severity 6 is not a whole number"),
        (["--severity", "0"], "severity 0 is not a whole number"),
        (["--metrics", "psrn"], "unknown metric 'psrn'; did you mean 'psnr'"),
        (["--split", "tset"], "--split tset: choose train, val, test or all"),
        (["--faces", "nowhere"], "nowhere: no such folder or file"),
        (["--reference-side", "24"], "not a multiple of --side 16"),
        (["--resume", "--overwrite"], "contradict each other"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_written(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    base = ["--methods", "resize", "--side", 16, "--limit", 4, "-o", "out"]
    if "--split" in arguments:
        np.savez(tmp_path / "f.npz", images=face_pixels()[:4], split=["test"] * 4)
        arguments = [*arguments, "--faces", "f.npz"]
    done = cli("experiment", "table1", *base, *arguments)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()


# --- ODEdit against SDEdit


def test_repeats_bring_sdedit_nearest_to_the_calls():
    assert [one.name for one in tradeoff.sdedit_methods()] == [
        "sdedit-200x3", "sdedit-300x2", "sdedit-400x2", "sdedit-500x1", "sdedit-600x1", "sdedit-700x1",
    ]  # fmt: skip
    assert [one.chain.plan().calls for one in tradeoff.sdedit_methods()] == [600, 600, 800, 500, 600, 700]
    assert [one.name for one in tradeoff.odedit_methods()] == ["odedit", "odedit-0.75", "odedit-1", "odedit-top"]
    assert {one.chain.plan().calls for one in tradeoff.odedit_methods()} == {600}
    assert [one.name for one in tradeoff.odedit_methods([1.0, 1.0])] == ["odedit", "odedit-1", "odedit-top"]


def test_the_rivals_are_those_nearest_in_realism_and_in_faithfulness(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "SWD_RESAMPLES", 10)
    out = tmp_path / "out"
    arguments = ["--prior", "{use: mixture, side: 16}", "--side", 16, "--limit", 4, "--calls", 40, "--t0", "20,300"]
    arguments += ["--temperatures", "0.5,1"]  # the first is the default, which runs once
    done = cli("experiment", "tradeoff", *arguments, "--kinds", "gaussian_noise", "-o", out)
    assert done.code == 0, done.err
    results = Results.read(out)
    assert [one.name for one in results.methods[1:]] == [
        "odedit", "odedit-1", "odedit-top", "sdedit-20x2", "sdedit-300x1",
    ]  # fmt: skip
    assert [one.calls for one in results.methods[1:]] == [600, 600, 600, 40, 300]
    values = {one.method: one.values for one in results.groups if not one.kind}
    for name, lines in (("odedit", results.notes[:2]), ("odedit-1", results.notes[2:4])):
        for said, metric in zip(lines, ("swd", "psnr"), strict=True):
            mine = values[name][metric].value
            rival = min(("sdedit-20x2", "sdedit-300x1"), key=lambda one: abs(values[one][metric].value - mine))
            assert said.startswith(f"{name}, SDEdit setting of nearest {metric.upper()}")
            assert f": {rival} (" in said
    top = next(one for one in results.differences if (one.against, one.metric) == ("odedit-top", "psnr"))
    mean = values["odedit"]["psnr"].value - values["odedit-top"]["psnr"].value
    assert (top.method, top.value) == ("odedit", pytest.approx(mean))
    assert f"PSNR {mean:+.2f} dB" in results.notes[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--t0", "high"], "--t0 high: give whole numbers"),
        (["--temperatures", "hot"], "--temperatures hot: give numbers"),
        (["--temperatures", "nan"], "temperature nan: choose 0 or more"),
        (["--temperatures", "-1"], "temperature -1: choose 0 or more"),
        (["--t0", "1000"], "t0 1000: choose a level from 1 to 999"),
        (["--metrics", "psnr"], "add ssim, swd to --metrics"),
    ],
)
def test_a_wrong_comparison_is_refused(cli, tmp_path, arguments, message):
    done = cli("experiment", "tradeoff", *arguments, "-o", tmp_path / "out")
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()


# --- where faces come from


def test_faces_come_from_folders_archives_and_folders_of_archives(tmp_path):
    pixels = face_pixels()[:5]
    (tmp_path / "folder").mkdir()
    (tmp_path / "archives").mkdir()
    rows = ["file,split"]
    for i, face in enumerate(pixels):
        PIL.Image.fromarray(face).save(tmp_path / "folder" / f"p{i}.png")
        rows.append(f"p{i}.png,{'test' if i < 3 else 'train'}")
    (tmp_path / "folder" / "index.csv").write_text("\n".join(rows) + "\n")
    for folder, names in (("archives", ("faces64.tar", "index.csv")),):
        (tmp_path / folder / names[1]).write_text("\n".join(rows) + "\n")
        with tarfile.open(tmp_path / folder / names[0], "w") as tar:
            for path in sorted((tmp_path / "folder").glob("*.png")):
                tar.add(path, path.name)
    np.savez(tmp_path / "archives" / "faces128.npz", images=np.zeros((1, 128, 128, 3), np.uint8))
    one, two = (faces(tmp_path / name, "test", 64) for name in ("folder", "archives"))
    assert one.names == two.names == ("p0", "p1", "p2")
    np.testing.assert_array_equal(one.pictures, pixels[:3])
    np.testing.assert_array_equal(two.pictures, pixels[:3])
    assert faces(tmp_path / "archives", "all", 128).pictures.shape == (1, 128, 128, 3)
    assert faces(tmp_path / "folder", "all", 32, 2).names == ("p1", "p3")
    with pytest.raises(InputError, match="no val faces"):
        faces(tmp_path / "folder", "val", 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures, and no npz or tar"):
        faces(tmp_path / "empty", "test", 64)


# --- synergy


def test_the_blur_leaves_the_wanted_gradient_energy():
    face = face_pixels()[4].transpose(2, 0, 1) / 255
    for share in (0.9, 0.5, 0.05):
        sigma = synergy.matching_sigma(face, share * gradient_energy(face))
        assert gradient_energy(synergy.blurred(face, sigma)) == pytest.approx(share * gradient_energy(face), rel=0.006)
    np.testing.assert_allclose(synergy.blurred(face, 1.2)[1], gaussian_filter(face[1], 1.2, mode="reflect"))
    assert synergy.matching_sigma(face, 2 * gradient_energy(face)) == 0
    assert synergy.matching_sigma(face, 0.0) == pytest.approx(synergy.MAX_BLUR_SIGMA, rel=1e-6)


def test_each_upsampler_has_three_inputs(cli, chain, tmp_path):
    out = tmp_path / "out"
    arguments = [
        "--chain",
        chain,
        "--upsamplers",
        "resize",
        "--side",
        16,
        "--limit",
        4,
        "-o",
        out,
        "--kinds",
        "gaussian_noise",
    ]
    done = cli("experiment", "synergy", *arguments)
    assert done.code == 0, done.err
    results = Results.read(out)
    assert [method.label for method in results.methods] == [
        "Source (damaged)", "small", "resize", "small, then resize", "blur, then resize",
    ]  # fmt: skip
    calls = {method.label: method.calls for method in results.methods}
    assert (calls["resize"], calls["small, then resize"], calls["blur, then resize"]) == (0, 14, 0)
    seconds = {method.label: method.seconds for method in results.methods}
    assert seconds["small, then resize"] > seconds["small"] > 0
    pairs = {(one.method, one.against) for one in results.differences}
    assert pairs >= {("small-resize", "resize"), ("small-resize", "blur-resize"), ("resize", "damaged")}
    name = next(iter(pictures(out / "blurred")))
    damaged, blurred, restored = (
        np.asarray(PIL.Image.open(out / folder / f"{name}.png")).transpose(2, 0, 1) / 255
        for folder in ("damaged", "blurred", "methods/small")
    )
    wanted = min(gradient_energy(restored), gradient_energy(damaged))
    assert gradient_energy(blurred) == pytest.approx(wanted, rel=0.05)  # the file has 8 bits
    after = np.asarray(PIL.Image.open(out / "methods" / "small-resize" / f"{name}.png"))
    assert after.shape == (64, 64, 3)
    stamp = (out / "blurred" / f"{name}.png").stat().st_mtime_ns
    assert cli("experiment", "synergy", *arguments, "--resume").code == 0
    assert (out / "blurred" / f"{name}.png").stat().st_mtime_ns == stamp


# --- sweep


def sweep_text(chain, **changes):
    values = {
        "odekit-sweep": 1,
        "chain": str(chain),
        "set": {"restore.enhancer.iterations": [1, 4], "restore.enhancer.temperature": [0.5, 1e-6]},
        "fixed": {"restore.inverter.steps": 5},
        "damage": {"use": "mask_pixels", "fraction": 0.5, "colour": "one"},
        "lines": "restore.enhancer.temperature",
    } | changes
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in values.items() if value is not None) + "\n"


def test_options_are_crossed_and_each_point_is_plotted(cli, chain, tmp_path):
    (tmp_path / "s.yaml").write_text(sweep_text(chain))
    out = tmp_path / "out"
    done = cli("experiment", "sweep", tmp_path / "s.yaml", "--side", 16, "--limit", 4, "-o", out)
    assert done.code == 0, done.err
    results = Results.read(out)
    assert [method.settings.get("restore.enhancer.iterations") for method in results.methods[1:]] == [1, 1, 4, 4]
    assert [method.settings.get("restore.enhancer.temperature") for method in results.methods[1:]] == [0.5, 1e-6] * 2
    assert [method.calls for method in results.methods[1:]] == [12, 12, 18, 18]
    assert len({group.values["psnr"].value for group in results.groups[1:5]}) == 4
    lines = sheets.points(results, results.plots[0])
    assert set(lines) == {"Source (damaged)", "temperature = 0.5", "temperature = 1e-06"}
    x, y, label = lines["temperature = 0.5"][1]
    fourth = next(g for g in results.groups if g.method == results.methods[3].name and not g.kind)
    assert (x, y, label) == (fourth.values["psnr"].value, fourth.values["swd"].value, "4")
    assert PIL.Image.open(out / "sweep.png").width > 500
    entry = json.loads((out / "damaged" / "manifest.jsonl").read_text().splitlines()[0])
    assert entry["steps"][0]["fraction"] == 0.5 and entry["steps"][0]["colour"] == "one"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"odekit-sweep": 2}, "odekit-sweep: must be 1"),
        ({"chian": "odedit"}, r"s\.yaml:7:1: chian: unknown option of the sweep; did you mean 'chain'"),
        ({"set": {}}, "options to cross"),
        ({"set": {"restore.enhancer.iterations": 3}, "lines": None}, "must be a valid list"),
        ({"set": {"restore.enhancer.iteratoins": [3]}, "lines": None}, "unknown option.*did you mean 'iterations'"),
        ({"set": {"restor.enhancer": [3]}, "lines": None}, "did you mean 'restore.enhancer'"),
        ({"lines": "restore.enhancer.temperatur"}, "is not in 'set'; did you mean"),
        ({"x": "psrn"}, "unknown metric 'psrn'; did you mean 'psnr'"),
        ({"severity": "four"}, "severity: must be a valid integer"),
        ({"damage": 4}, "a kind of damage, a list"),
        ({"damage": {"use": "fog", "fractoin": 1}}, "did you mean|no option|unknown option"),
    ],
)  # fmt: skip
def test_an_invalid_sweep_is_reported_with_its_position(cli, chain, tmp_path, changes, message):
    import re

    (tmp_path / "s.yaml").write_text(sweep_text(chain, **changes))
    done = cli("experiment", "sweep", tmp_path / "s.yaml", "--side", 16, "--limit", 2, "-o", tmp_path / "out")
    assert done.code == 2
    assert re.search(message, done.err), done.err
    assert not (tmp_path / "out").exists()


def test_the_plot_needs_its_metrics(cli, chain, tmp_path):
    (tmp_path / "s.yaml").write_text(sweep_text(chain))
    done = cli("experiment", "sweep", tmp_path / "s.yaml", "--metrics", "psnr", "-o", tmp_path / "out")
    assert done.code == 2 and "needs the metric swd; add it to --metrics" in done.err


def test_the_shipped_sweeps_are_whole():
    assert set(sweep_file.shipped()) >= {"updates", "masked"}
    for name in sweep_file.shipped():
        what = sweep_file.load(name)
        points = list(what.points())
        assert len({one.name for one in points}) == len(points) > 2
        assert what.summary
    assert sweep_file.load("masked").kinds == ("mask_pixels",)
    with pytest.raises(ConfigError, match="there is no sweep maskd; did you mean 'masked'"):
        sweep_file.load("maskd")


def test_a_page_with_markers_keeps_the_text_around_them(tmp_path):
    results = Results("table1", "A title", "8 faces", figures={"pictures": "pictures.png"})
    (tmp_path / "pictures.png").write_bytes(b"png")
    target = tmp_path / "docs" / "results.md"
    markdown.publish(results, tmp_path, target)
    whole = target.read_text()
    assert whole.startswith("# A title\n\n<!-- begin results -->\n- command:")
    target.write_text("# Ours\n\nours\n\n<!-- begin results -->\nold\n<!-- end results -->\n\nours too\n")
    markdown.publish(results, tmp_path, target)
    filled = target.read_text()
    assert filled.startswith("# Ours\n\nours\n\n<!-- begin results -->\n") and filled.endswith("\n\nours too\n")
    block = "<!-- begin results -->\n", "\n<!-- end results -->"
    assert filled.split(block[0])[1].split(block[1])[0] == whole.split(block[0])[1].split(block[1])[0]
    assert "](results-pictures.png)" in filled


def test_a_page_may_have_blocks_of_several_experiments(tmp_path):
    target = tmp_path / "results.md"
    names = ("results", "photos")
    target.write_text("".join(f"<!-- begin {name} -->\nold\n<!-- end {name} -->\n" for name in names))
    for name in ("photos", "table1"):
        markdown.publish(Results(name, "A title", f"faces of {name}"), tmp_path, target)
    first, second = target.read_text().split("<!-- begin photos -->")
    assert "faces of table1" in first and "faces of photos" in second and "old" not in first + second


def test_a_large_figure_is_a_jpeg_beside_the_page(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    write(Image.from_uint8(noise), tmp_path / "pictures.png")
    target = tmp_path / "docs" / "results.md"
    markdown.publish(Results("photos", "A title", "8 faces", figures={"mild": "pictures.png"}), tmp_path, target)
    assert "![mild](results-pictures.jpg)" in target.read_text()
    assert (target.parent / "results-pictures.jpg").stat().st_size < (tmp_path / "pictures.png").stat().st_size


@pytest.mark.parametrize("count, shown", [(10, True), (11, False)])
def test_a_page_of_more_methods_than_can_be_read_has_no_tables_by_damage(count, shown):
    from odekit.evaluation.panel import choose
    from odekit.evaluation.results import Group, Method, Value

    names = [f"m{i}" for i in range(count)]
    groups = [Group(name, kind, values={"psnr": Value(20.0)}) for name in names for kind in ("", "fog", "jpeg")]
    methods = tuple(Method(name, name) for name in names)
    made = Results(
        "sweep",
        "t",
        "h",
        methods=methods,
        groups=tuple(groups),
        metrics=tuple(open_panel(choose("psnr"), "cpu").about.values()),
    )
    assert ("## PSNR by damage" in markdown.page(made)) == shown


def test_points_without_a_number_are_not_drawn():
    from odekit.evaluation.results import Group, Method, Value

    results = Results(
        "sweep", "t", "h", methods=(Method("a", "A"), Method("b", "B")),
        groups=(Group("a", values={"psnr": Value(1.0), "swd": Value(2.0)}),
                Group("b", values={"psnr": Value(math.nan), "swd": Value(2.0)})),
    )  # fmt: skip
    assert sheets.points(results, Plot("psnr", "swd")) == {"A": [(1.0, 2.0, "A")]}


def test_the_sweep_in_the_docs_is_read():
    import re

    from conftest import ROOT

    text = (ROOT / "docs" / "measure.md").read_text()
    found = [block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "sweep" in block]
    for block in found:
        what = sweep_file.read(document.parse_yaml(block, "docs/measure.md"))
        assert len(list(what.points())) == 6
    assert found
