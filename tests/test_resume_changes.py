"""A resume does not mix results of different weights, masks, boxes, prior folders or versions of parts."""

import json
import shutil
import types
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import picture

import odekit
from odekit.chains import dependencies
from odekit.cli.progress import ProgressBar
from odekit.core.files import ASSETS, read_json, write_json
from odekit.core.options import Options
from odekit.errors import ConfigError
from odekit.runs import digests
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions
from odekit.testing import catalog_with


def save_mask(path, seed):
    PIL.Image.fromarray(picture(seed)).save(path)


def masked(exact, mask):
    exact.write_text(exact.read_text() + f"      mask: {mask}\n")


def restored(done):
    return sorted(Path(name).name for name in json.loads(done.out)["restored"])


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_an_edited_mask_is_noticed_and_its_results_are_redone_on_request(cli, exact, faces, tmp_path):
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    save_mask(mask, 1)
    masked(exact, mask)
    cli("run", exact, faces, "-o", out, "--limit", 3)
    before = outputs(out)
    save_mask(mask, 2)
    done = cli("run", exact, faces, "-o", out, "--resume")
    assert done.code == 2
    assert f"the content of {mask} has changed" in done.err
    assert "--changed redo" in done.err
    assert cli("run", exact, faces, "-o", out, "--resume", "--dry-run").code == 2
    assert outputs(out) == before
    done = cli("run", exact, faces, "-o", out, "--resume", "--changed", "redo", "--json")
    assert (done.code, len(restored(done))) == (0, 7)
    cli("run", exact, faces, "-o", tmp_path / "whole")
    assert outputs(out) == outputs(tmp_path / "whole")
    assert cli("run", exact, faces, "-o", out, "--resume").code == 0, "run.json has the new digest"


def test_a_killed_redo_is_continued_by_a_plain_resume(cli, exact, faces, tmp_path):
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    save_mask(mask, 1)
    masked(exact, mask)
    cli("run", exact, faces, "-o", out)
    save_mask(mask, 2)
    cli("run", exact, faces, "-o", out, "--resume", "--changed", "redo", "--limit", 2)
    assert len(restored(cli("run", exact, faces, "-o", out, "--resume", "--json"))) == 5


def test_a_mask_that_is_gone_is_named(cli, exact, faces, tmp_path):
    save_mask(tmp_path / "mask.png", 1)
    masked(exact, tmp_path / "mask.png")
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 1)
    (tmp_path / "mask.png").unlink()
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume")
    assert (done.code, "mask.png is missing" in done.err) == (2, True)


def test_changed_and_verify_need_a_resume(cli, exact, faces, tmp_path):
    for wrong in (["--changed", "redo"], ["--verify"], ["--resume", "--changed", "maybe"]):
        done = cli("run", exact, faces, "-o", tmp_path / "out", *wrong)
        assert done.code == 2
        assert len(done.err.splitlines()) == 1


def test_edited_boxes_are_noticed(cli, tmp_path):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"a.png": [], "b.png": []}))
    for name in ("a.png", "b.png"):
        PIL.Image.fromarray(picture(1, 80, 120)).save(tmp_path / name)
    chain = tmp_path / "chain.yaml"
    chain.write_text(
        f"odekit: 1\nchain:\n  - faces:\n      select: {{boxes: {boxes}}}\n      each: [{{upsample: resize}}]\n"
    )
    cli("run", chain, tmp_path / "a.png", "-o", tmp_path / "out")
    boxes.write_text(json.dumps({"a.png": [[0, 0, 40, 40]], "b.png": []}))
    done = cli("run", chain, tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", "--resume")
    assert (done.code, f"the content of {boxes} has changed" in done.err) == (2, True)


def test_another_prior_in_the_same_folder_is_noticed(cli, exact, faces, tmp_path):
    folder = tmp_path / "prior"
    shutil.copytree(ASSETS / "face64", folder)
    (folder / "notes.txt").write_text("mine")
    exact.write_text(exact.read_text().replace("mixture, side: 8", f"diffusers, path: {folder}"))
    chain = odekit.Chain.load(exact)
    first = digests.dependencies_of(chain)
    assert list(first.files) == [str(folder)]
    (folder / "notes.txt").write_text("not what results depend on")
    assert digests.difference(first.tree(), digests.dependencies_of(chain)) == ""
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert digests.difference(first.tree(), digests.dependencies_of(chain)) == f"the content of {folder} has changed"


def test_another_weights_file_under_the_same_path_or_name_is_noticed(exact, tmp_path, monkeypatch):
    chain = odekit.Chain([{"upsample": {"use": "face-x4", "weights": f"{tmp_path}/net/"}}])
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "model.safetensors").write_bytes(b"one")
    first = digests.dependencies_of(chain).tree()
    (tmp_path / "net" / "model.safetensors").write_bytes(b"two")
    assert "the weights" in digests.difference(first, digests.dependencies_of(chain))
    named = odekit.Chain([{"upsample": "face-x4"}])
    first = digests.dependencies_of(named)
    assert len(first.weights["face-x4"]) == 64
    monkeypatch.setattr(dependencies, "digest_of_weights", lambda name, catalog: "0" * 64)
    assert digests.difference(first.tree(), digests.dependencies_of(named)) == "the weights 'face-x4' are another file"


def test_a_mask_folder_concerns_each_photograph_alone(cli, tmp_path):
    masks, photos, out = (tmp_path / name for name in ("masks", "photos", "out"))
    for folder in (masks, photos):
        folder.mkdir()
    for name in "abc":
        PIL.Image.fromarray(picture(ord(name), 40, 40)).save(photos / f"{name}.png")

    def paint(name, row):
        mask = np.zeros((40, 40), np.uint8)
        mask[row] = 255
        PIL.Image.fromarray(mask).save(masks / f"{name}.png")

    paint("a", 3)
    paint("b", 3)
    chain = tmp_path / "chain.yaml"
    chain.write_text(f"odekit: 1\nchain:\n  - mend: {{mask: {masks}}}\n")
    assert cli("run", chain, photos, "-o", out).code == 0
    paint("b", 9)  # edited
    paint("c", 5)  # new
    done = cli("run", chain, photos, "-o", out, "--resume", "--json")
    assert (done.code, restored(done)) == (0, ["b.png", "c.png"])
    assert restored(cli("run", chain, photos, "-o", out, "--resume", "--json")) == []


class Brighter:
    """A stage of a plugin."""

    def __init__(self, options, tools):
        pass

    def run(self, batch, context):
        return [image.with_pixels(np.clip(image.pixels + np.float32(0.1), 0, 1)) for image in batch]


def plugin_chain(results):
    plugin = types.ModuleType("brighter_plugin")

    def odekit_parts(catalog):
        catalog.stage("brighter", Brighter, Options, **({} if results is None else {"results": results}))

    plugin.odekit_parts = odekit.hookimpl(odekit_parts)
    return odekit.Chain(["brighter"], parts=catalog_with("odekit-brighter", plugin))


@pytest.fixture
def resume(faces, tmp_path, monkeypatch, capsys):
    """Resumes a run of a plugin's version and `results`; returns what it restored, and what it told."""

    def run(version, results, **options):
        monkeypatch.setattr(dependencies, "version_of", lambda dist: version if dist == "odekit-brighter" else "1.0")
        capsys.readouterr()
        runner = Runner(plugin_chain(results), RunOptions(tmp_path / "out", resume=True, **options), ProgressBar(True))
        return runner.run([faces]).restored, capsys.readouterr().err

    return run


def test_a_part_without_results_compares_by_the_version_of_its_distribution(resume, tmp_path):
    assert len(resume("0.1", None, limit=3)[0]) == 3
    assert read_json(tmp_path / "out" / "run.json")["versions"]["odekit-brighter"] == "0.1"
    with pytest.raises(ConfigError, match=r"the stage brighter of odekit-brighter is another version 0\.1, now 0\.2"):
        resume("0.2", None)
    assert len(resume("0.2", None, changed="redo")[0]) == 7


def test_a_part_with_results_compares_by_that_number_and_tells_of_a_version_once(resume, tmp_path):
    assert len(resume("0.1", 1, limit=3)[0]) == 3
    made, told = resume("0.2", 1)
    assert len(made) == 4
    assert "odekit-brighter 0.1 (now 0.2)" in told
    assert resume("0.2", 1) == ([], "")
    with pytest.raises(ConfigError, match="gives other results"):
        resume("0.3", 2)


def test_a_part_of_another_distribution_is_another_part():
    current = digests.dependencies_of(plugin_chain(1))
    stored = current.tree()
    stored["parts"]["stage brighter"]["dist"] = "odekit-darker"
    assert "was of odekit-darker" in digests.difference(stored, current)


def test_every_built_in_part_and_those_of_our_plugins_declare_their_results():
    from odekit.parts.installed import catalog

    undeclared = [f"{entry.kind} {entry.name}" for entry in catalog().all() if entry.results is None]
    assert undeclared == []


def as_older(out, keys=("depends",)):
    """Remove what older versions did not write."""
    for path in [out / "run.json", *out.glob("*.png.json")]:
        content = read_json(path)
        for key in keys:
            content.pop(key)
        for key in ("inode", "ctime_ns", "blocks"):
            for entry in ("input", "output"):
                content.get(entry, {}).pop(key, None)
        write_json(path, content)


def test_folders_of_older_versions_are_resumed_and_then_compared(cli, exact, faces, tmp_path):
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    save_mask(mask, 1)
    masked(exact, mask)
    cli("run", exact, faces, "-o", out, "--limit", 3)
    as_older(out)
    done = cli("run", exact, faces, "-o", out, "--resume", "--limit", 4, "--json")
    assert (done.code, len(restored(done))) == (0, 1)
    save_mask(mask, 2)
    assert cli("run", exact, faces, "-o", out, "--resume").code == 2
    cli("run", exact, faces, "-o", out, "--resume", "--changed", "redo", "--limit", 2)
    done = cli("run", exact, faces, "-o", out, "--resume", "--json")
    assert len(restored(done)) == 5, "records without a digest do not count once something has changed"


def test_weights_in_the_records_of_older_versions_are_compared(cli, faces, tmp_path):
    chain, out = tmp_path / "chain.yaml", tmp_path / "out"
    chain.write_text("odekit: 1\nchain:\n  - upsample: face-x4\n")
    PIL.Image.fromarray(picture(1, 64, 64)).save(tmp_path / "face.png")
    assert cli("run", chain, tmp_path / "face.png", "-o", out).code == 0
    as_older(out)
    assert cli("run", chain, tmp_path / "face.png", "-o", out, "--resume").code == 0
    record = read_json(out / "face.png.json")
    record["weights"]["face-x4"] = "0" * 64
    as_older(out, keys=())
    run = read_json(out / "run.json")
    del run["depends"]
    write_json(out / "run.json", run)
    write_json(out / "face.png.json", record)
    done = cli("run", chain, tmp_path / "face.png", "-o", out, "--resume")
    assert (done.code, "the weights 'face-x4' are another file" in done.err) == (2, True)
