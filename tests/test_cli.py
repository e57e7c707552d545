"""What commands print, for people and for machines."""

import json

import PIL.Image
import pytest
import torch
from conftest import EXACT, ROOT, picture
from goldens import layout, synthetic_arrays

import odekit


def test_explain_shows_stages_calls_licences_and_weights(cli):
    told = cli("explain", "odedit-plus").out
    for word in ("restore", "upsample", "first blind", "no updates", "colours undone", "face64", "MIT"):
        assert word in told
    fixed = cli("explain", "odedit").out
    for word in ("600", "network calls per image", "colours undone, ode"):
        assert word in fixed
    assert "colours undone, ode" not in cli("explain", "odedit", "--set", "restore.colour=keep").out


@pytest.mark.parametrize("iterations, calls", [("light", 600), ("medium", 1000), ("heavy", 1400)])
@pytest.mark.parametrize("chain", ["odedit", "odedit-paper"])
def test_explain_counts_the_papers_calls(cli, chain, iterations, calls):
    told = json.loads(cli("explain", chain, "--json", "--set", f"restore.enhancer.iterations={iterations}").out)
    assert told["calls_per_image"] == calls


def test_check_says_ok_and_counts(cli, exact):
    assert cli("check", exact).out == f"{exact}: ok, 28 network calls per image\n"
    assert json.loads(cli("check", exact, "--json").out)["ok"] is True


def test_plugins_lists_every_kind_with_its_options(cli):
    rows = json.loads(cli("plugins", "--json").out)["parts"]
    assert {"prior", "inverter", "solver", "enhancer", "upsampler", "corruption", "stage"} <= {
        row["kind"] for row in rows
    }
    (ode,) = (row for row in rows if row["name"] == "ode")
    assert {"steps", "grid", "solver"} <= set(ode["options"])
    only = json.loads(cli("plugins", "--kind", "solver", "--json").out)["parts"]
    assert {row["kind"] for row in only} == {"solver"}
    assert "did you mean 'solver'?" in cli("plugins", "--kind", "solvr").err


def test_weights_are_listed_and_found(cli):
    rows = {row["name"]: row for row in json.loads(cli("weights", "list", "--json").out)}
    assert rows["face64"]["here"] is True
    assert rows["face64"]["commercial_use"] is True
    path = cli("weights", "path", "face64").out.strip()
    assert path == str(ROOT / "odekit" / "assets" / "face64")
    assert "did you mean 'face64'?" in cli("weights", "path", "face65").err


def test_weights_that_are_not_the_registered_file_are_refused(cli, monkeypatch, tmp_path):
    import dataclasses

    stores = odekit.catalog().weights
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"other")
    monkeypatch.setitem(stores, "face64", dataclasses.replace(stores["face64"], path=tmp_path))
    assert "is not the registered file of 'face64' (its SHA-256 differs)" in cli("weights", "path", "face64").err


def test_a_converted_checkpoint_is_a_prior_by_path(cli, tmp_path):
    """From another program's training file to a restored face."""
    tensors = {
        f"module.{name}": torch.from_numpy(v)
        for name, v in synthetic_arrays(layout("ddim_small_golden"), 1, "B").items()
    }
    torch.save([tensors, {}, 3, 99], tmp_path / "ckpt.pth")
    made = cli("weights", "convert", tmp_path / "ckpt.pth", "-o", tmp_path / "prior", "--image-size", 32)
    assert made.code == 0, made.err
    chain = tmp_path / "chain.yaml"
    chain.write_text(EXACT.replace("{use: mixture, side: 8}", str(tmp_path / "prior")))
    PIL.Image.fromarray(picture(0, 32, 32)).save(tmp_path / "face.png")
    done = cli("run", chain, tmp_path / "face.png", "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["calls_per_image"] == 28


@pytest.mark.parametrize(
    "option, text", [(["--kind", "vae"], "--kind vae"), (["--qkv-order", "odd"], "--qkv-order odd")]
)
def test_conversion_refuses_what_it_does_not_know(cli, tmp_path, option, text):
    assert text in cli("weights", "convert", tmp_path / "x.pt", "-o", tmp_path / "y", "--image-size", 32, *option).err


def test_commercial_only_refuses_parts_by_licence(cli, exact, faces, tmp_path, monkeypatch):
    import dataclasses

    key, parts = ("enhancer", "langevin"), odekit.catalog()
    closed = dataclasses.replace(parts.entries[key][0], commercial_use=False, licence="research only")
    monkeypatch.setattr(parts, "entries", parts.entries | {key: [closed]})
    refused = cli("run", exact, faces, "-o", tmp_path / "out", "--commercial-only")
    assert refused.code == 2
    assert "--commercial-only refuses enhancer 'langevin' (research only)" in refused.err
    assert not (tmp_path / "out").exists()


def test_the_version_is_printed(cli):
    assert cli("--version").out == f"odekit {odekit.__version__}\n"


def test_on_a_terminal_bars_count_images_phases_and_network_calls(cli, exact, faces, tmp_path, monkeypatch):
    """On a pipe there are no bars; on a terminal the totals are reached."""
    from odekit.cli import run

    totals = []

    class Seen(run.ProgressBar):
        def __exit__(self, *error):
            super().__exit__(*error)
            totals.extend((task.description, task.completed, task.total) for task in self.progress.tasks)
            assert self.time.calls == 56

    monkeypatch.setattr(run, "ProgressBar", Seen)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", 4)
    assert done.code == 0
    assert totals == [("pictures", 7, 7), ("writing", 2, 3)]
