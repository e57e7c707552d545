"""Bad input: each case gets one line that says what, where and what to do; a clean exit code; no traceback; no output."""

import json
import os
import pickle
import types

import numpy as np
import PIL.Image
import pytest
import torch
from conftest import EXACT, ROOT, picture
from safetensors.torch import load_file, save_file

from odekit.parts import builtin, installed
from odekit.parts.stages.advice import photo_advice
from odekit.plugins import discovery


class Case:
    """A folder, and a command line to try in it."""

    def __init__(self, path):
        self.path = path
        self.args = []

    def write(self, name, data):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def face(self, name="face.png"):
        PIL.Image.fromarray(picture(0)).save(self.path / name)
        return self.path / name

    def run(self, chain, *inputs, out="out"):
        self.args = ["run", chain, *(inputs or [self.face()]), "-o", self.path / out]

    def exact(self, text=EXACT):
        return self.write("exact.yaml", text)


def missing_file(c):
    c.run(c.exact(), c.path / "no.png")
    return "no.png: no such file or folder; name files, folders or globs"


def folder_without_pictures(c):
    (c.path / "empty").mkdir()
    c.run(c.exact(), c.path / "empty")
    return "empty: no pictures found; name files, folders or globs"


def glob_without_matches(c):
    c.run(c.exact(), c.path / "*.tif")
    return "*.tif: no file matches"


def output_under_a_file(c):
    c.write("out", "I am a file")
    c.run(c.exact())
    return "out cannot be created: it is a file"


def image_before_the_chain(c):
    c.run(c.face(), "odedit")
    return "face.png is not a chain: not a text file; the chain comes first"


def output_equal_to_input(c):
    c.run(c.exact(), c.face(), out=".")
    return "would replace an input; choose another folder with -o"


def unknown_chain(c):
    c.run("odedti")
    return "unknown chain 'odedti'; did you mean 'odedit'?"


def unknown_chain_that_is_a_folder(c):
    (c.path / "odedti").mkdir()
    c.run("odedti")
    return "'odedti' is a folder; a chain is a YAML file or a name; did you mean 'odedit'?"


def missing_chain_file(c):
    c.run(c.path / "no.yaml")
    return "there is no chain file"


def chain_file_that_ships_under_a_name(c):
    c.run("configs/odedti.yaml")
    return "there is no chain file configs/odedti.yaml; did you mean 'odedit'?"


def chain_of_a_plugin_that_is_not_installed(c):
    c.parts = [("odekit", builtin)]
    c.run(c.exact("odekit: 1\nchain: [{upsample: gfpgan}]"))
    return (
        "the upsampler 'gfpgan' comes with the plugin odekit-gfpgan, which is not installed; pip install odekit-gfpgan"
    )


def unknown_part(c):
    c.run(c.exact(EXACT.replace("use: ode,", "use: odd,")))
    return "exact.yaml:6:7: chain[0].restore.inverter: unknown inverter 'odd'; did you mean 'ode'?"


def level_outside_the_grid(c):
    c.run(c.exact(EXACT.replace("[0, 3]", "[0, 30]")))
    return "level 30 is not on the grid: indices run from 0 to 9"


def unknown_setting(c):
    c.run(c.exact())
    c.args += ["--set", "restore.inverter.stepz=5"]
    return "--set restore.inverter.stepz=5: unknown option of inverter 'ode'; did you mean 'steps'?"


def missing_device(c):
    c.run(c.exact())
    c.args += ["--device", "cuda:77"]
    return "device 'cuda:77' is not available"


def batch_of_none(c):
    c.run(c.exact())
    c.args += ["--batch-size", "0"]
    return "--batch-size 0: at least 1"


def resume_and_overwrite(c):
    c.run(c.exact())
    c.args += ["--resume", "--overwrite"]
    return "contradict each other"


def wrong_shard(c):
    c.run(c.exact())
    c.args += ["--shard", "3/2"]
    return "--shard 3/2: write i/n"


def prior_folder(c):
    """A copy of the built-in prior's folder, as someone's own."""
    folder = c.path / "prior"
    folder.mkdir()
    for name in ("config.json", "odekit.json", "diffusion_pytorch_model.safetensors"):
        os.symlink(ROOT / "odekit" / "assets" / "face64" / name, folder / name)
    c.run(c.exact(f"odekit: 1\npriors: {{face: {{use: diffusers, path: '{folder}'}}}}\nchain: [restore]"))
    return folder


def change_tensors(folder, change):
    path = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path)


def weights_folder_missing(c):
    prior_folder(c)
    c.args[1].write_text(c.args[1].read_text().replace("/prior", "/nowhere"))
    return "nowhere"


def weights_with_a_missing_tensor(c):
    change_tensors(prior_folder(c), lambda t: t.pop("conv_in.weight"))
    return "conv_in.weight"


def weights_with_an_extra_tensor(c):
    change_tensors(prior_folder(c), lambda t: t.update(surplus=torch.zeros(2)))
    return "surplus"


def weights_with_nan(c):
    change_tensors(prior_folder(c), lambda t: t["conv_in.weight"].view(-1)[0].fill_(float("nan")))
    return "conv_in.weight"


def truncated_weights(c):
    path = prior_folder(c) / "diffusion_pytorch_model.safetensors"
    data = path.read_bytes()[:100_000]
    path.unlink()
    path.write_bytes(data)
    return "diffusion_pytorch_model.safetensors"


class Evil:
    def __reduce__(self):
        return (os.system, ("touch /tmp/odekit-was-here",))


def weights_that_are_a_pickle_with_code(c):
    folder = prior_folder(c)
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"conv_in.weight": Evil()}))
    return "diffusion_pytorch_model.bin"


def weights_without_config(c):
    (prior_folder(c) / "config.json").unlink()
    return "config.json"


def a_plugin_that_raises_on_import(c):
    class Point:
        name = "broken"

        def load(self):
            raise ZeroDivisionError("division by zero")

    c.parts = [("odekit", builtin), ("odekit-broken", Point())]
    c.run(c.exact(EXACT.replace("steps: 10", "steps: 10, solver: theirs")))
    return "; plugin odekit-broken failed: ZeroDivisionError: division by zero"


def two_plugins_with_one_name(c):
    def plugin():
        module = types.ModuleType("p")
        module.odekit_parts = lambda catalog: catalog.solver("mine", "odekit.parts.solvers.ddim:Ddim")
        return module

    c.parts = [("odekit", builtin), ("alpha", plugin()), ("beta", plugin())]
    c.run(c.exact(EXACT.replace("steps: 10", "steps: 10, solver: mine")))
    return "two distributions offer the solver 'mine': alpha and beta; write 'alpha:mine' or 'beta:mine'"


WRONG_CALLS = [
    missing_file, folder_without_pictures, glob_without_matches, output_under_a_file, image_before_the_chain, output_equal_to_input, unknown_chain,
    missing_chain_file, chain_of_a_plugin_that_is_not_installed, unknown_part, level_outside_the_grid, unknown_setting,
    missing_device, batch_of_none, resume_and_overwrite, wrong_shard, weights_folder_missing, weights_with_a_missing_tensor,
    weights_with_an_extra_tensor, weights_with_nan, truncated_weights, weights_that_are_a_pickle_with_code,
    weights_without_config, a_plugin_that_raises_on_import, two_plugins_with_one_name,
]  # fmt: skip


@pytest.mark.parametrize("make", WRONG_CALLS, ids=lambda make: make.__name__)
def test_a_call_that_cannot_work_stops_with_one_line_and_code_2(make, tmp_path, cli, monkeypatch):
    case = Case(tmp_path)
    case.parts = None
    expected = make(case)
    if case.parts is not None:
        filled = discovery.build(case.parts)
        monkeypatch.setattr(installed, "installed_parts", lambda: filled)
    before = sorted(tmp_path.rglob("*"))
    done = cli(*case.args)
    lines = done.err.strip().splitlines()
    assert done.code == 2
    assert len(lines) == 1, done.err
    assert lines[0].startswith("odekit: ")
    assert expected in lines[0]
    assert "Traceback" not in done.err
    new = [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()]
    assert new == []
    assert not os.path.exists("/tmp/odekit-was-here")


def text_file(c):
    return c.write("a.png", "hello"), "a.png"


def empty_file(c):
    return c.write("a.jpg", b""), "a.jpg: "


def truncated_picture(c):
    whole = c.face("whole.png")
    return c.write("cut.png", whole.read_bytes()[:60]), "cut.png: "


def video(c):
    return c.write("a.png", b"\x00\x00\x00\x18ftypisom" + bytes(40)), "a.png: is a video; videos are not supported"


def whole_photograph(c):
    PIL.Image.fromarray(picture(0, 40, 60)).save(c.path / "wide.png")
    return c.path / "wide.png", "60x40 is not an aligned square face; for a whole photograph use 'odekit run photo'"


def bomb(c):
    PIL.Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(c.path / "big.png")
    return c.path / "big.png", "--max-megapixels"


def absent_among_others(c):
    return c.path / "gone.png", "gone.png: no such file or folder"


@pytest.mark.parametrize("make", [text_file, empty_file, truncated_picture, video, whole_photograph, bomb, absent_among_others], ids=lambda m: m.__name__)  # fmt: skip
def test_an_input_that_cannot_be_restored_is_listed_and_the_others_go_on(make, tmp_path, cli):
    case = Case(tmp_path)
    bad, expected = make(case)
    good = case.face("good.png")
    done = cli("run", case.exact(), bad, good, "-o", tmp_path / "out", "--max-megapixels", 1)
    lines = done.err.strip().splitlines()
    assert done.code == 3
    assert len(lines) == 1, done.err
    assert expected in lines[0]
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert failure["input"] == str(bad)
    assert expected in failure["error"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["failures.json", "good.png", "good.png.json", "run.json", "run.jsonl"]


def test_in_a_chain_with_faces_nobody_is_sent_to_the_chain_photo(tmp_path, cli):
    """`restore` of the whole photograph, or of a face that an earlier stage has made oblong."""
    case = Case(tmp_path)
    PIL.Image.fromarray(picture(0, 40, 60)).save(tmp_path / "wide.png")
    faces = "faces: {select: {boxes: []}, each: [restore], background: [restore]}"
    chain = case.exact("odekit: 1\npriors: {face: {use: mixture, side: 8}}\nchain: [{" + faces + "}]")
    done = cli("run", chain, tmp_path / "wide.png", "-o", tmp_path / "out")
    assert done.code == 3
    assert "60x40 is not an aligned square face; in 'faces', 'restore' belongs into 'each'" in done.err
    assert "odekit run photo" not in done.err
    assert photo_advice("1.each.0") == "in 'each', the stages before 'restore' must keep the face square"


def test_nothing_is_downloaded_or_left_behind_by_help(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("--help").code == 0
    assert list(tmp_path.iterdir()) == []
