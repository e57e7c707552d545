"""Priors of the Hugging Face hub by name, against a hub on this machine; and folders that are ready for the hub."""

import functools
import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from hub_server import serve_hub
from huggingface_hub import HfApi
from safetensors.torch import load_file, save

import odekit
from odekit.chains.chain import Chain
from odekit.errors import ConfigError, WeightsError
from odekit.parts.priors.network import build_network
from odekit.plugins.weights.export import front_matter, with_front_matter
from odekit.plugins.weights.hub import HubName, chosen, hub_folder, pull_hub

CONFIG = {
    "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3, "block_out_channels": [8, 8],
    "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2, "layers_per_block": 1,
    "norm_num_groups": 4, "attention_head_dim": 4,
}  # fmt: skip
CHAIN = """\
odekit: 1
name: hub
priors: {{face: {{use: diffusers, weights: '{name}'}}}}
chain:
  - restore:
      inverter: {{use: ode, steps: 2}}
      enhancer: {{use: langevin, levels: [0], iterations: 1, rule: variance}}
"""


def repository(seed=0, folder=""):
    from diffusers import UNet2DModel

    torch.manual_seed(seed)
    weights = save({k: v.clone() for k, v in UNet2DModel.from_config(CONFIG).state_dict().items()})
    return {
        f"{folder}config.json": json.dumps(CONFIG).encode(), f"{folder}diffusion_pytorch_model.safetensors": weights,
        "scheduler_config.json": json.dumps({"_class_name": "DDPMScheduler"}).encode(), "README.md": b"# a prior\n",
        "pickled.bin": b"not wanted", "samples/a.png": b"not wanted",
    }  # fmt: skip


@functools.cache
def files():
    """A repository, made once."""
    return repository()


@pytest.fixture(scope="module")
def running():
    with serve_hub() as server:
        yield server


@pytest.fixture
def hub(running, tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", running.address)
    for variable in ("ODEKIT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    running.commits.clear(), running.branches.clear(), running.lies.clear(), running.asked.clear()
    running.licence = "apache-2.0"
    return running


def pull(text, accept=lambda name, licence, free: free, **how):
    lines = []
    return pull_hub(text, accept, say=lines.append, **how), lines


def test_names():
    assert HubName.parse("hf:google/ddpm-ema-celebahq-256@v1.0") == HubName("google/ddpm-ema-celebahq-256", "v1.0")
    assert HubName.parse("hf:a/b").revision == ""
    for wrong in ("hf:a", "hf:../b", "hf:a/b@../c", "hf:a/b/c", "a/b", "hf:a/b@", "hf:a/b c"):
        with pytest.raises(ValueError, match=r"is not a name of the form hf:OWNER/NAME@REVISION"):
            HubName.parse(wrong)


def test_the_files_of_a_prior_are_fetched_once_with_their_hashes_and_others_are_not(hub):
    sha = hub.commit(files())
    folder, lines = pull("hf:someone/prior")
    assert folder.name == sha and lines[-1] == f"hf:someone/prior: pinned to someone/prior@{sha}"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = {"config.json", "diffusion_pytorch_model.safetensors", "scheduler_config.json", "README.md"}
    assert there == wanted | {"odekit-hub.json"}
    assert all((folder / name).read_bytes() == files()[name] for name in wanted)
    asked = len(hub.asked)
    assert pull("hf:someone/prior")[0] == hub_folder("hf:someone/prior") == folder
    assert len(hub.asked) == asked, "nothing is asked again"


def test_a_name_without_a_revision_and_a_branch_stay_pinned_and_a_commit_means_itself(hub):
    first = hub.commit(files())
    pull("hf:someone/prior")
    pull("hf:someone/prior@main")
    second = hub.commit(repository(1))
    assert hub_folder("hf:someone/prior").name == hub_folder("hf:someone/prior@main").name == first
    assert pull("hf:someone/prior@main")[0].name == first
    assert pull(f"hf:someone/prior@{second}")[0].name == second
    assert pull("hf:someone/prior@main", again=True)[0].name == second
    assert hub_folder("hf:someone/prior").name == first


@pytest.mark.parametrize("sha", ["../../outside", "main", "", "0" * 39, "f" * 40])
def test_a_hub_that_names_no_commit_or_another_one_is_refused_before_anything_is_written(
    hub, monkeypatch, sha, tmp_path
):
    """The commit is the name of a folder, which is emptied first."""
    hub.commit(files())
    (tmp_path / "home" / "hub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    real = HfApi.model_info

    def lying(*args, **options):
        info = real(*args, **options)
        info.sha = sha
        return info

    monkeypatch.setattr(HfApi, "model_info", lying)
    name = "hf:someone/prior" + (f"@{next(iter(hub.commits))}" if sha == "f" * 40 else "")
    with pytest.raises(WeightsError, match="names no commit of"):
        pull(name)
    assert (tmp_path / "outside").is_dir() and list((tmp_path / "home" / "hub").iterdir()) == []


def test_a_pipeline_with_unet_is_a_prior_and_other_repositories_are_not(hub):
    hub.commit(repository(folder="unet/"))
    folder, _ = pull("hf:someone/prior")
    assert (folder / "unet" / "config.json").is_file()
    assert chosen(["config.json", "diffusion_pytorch_model.bin"], HubName("a/b", "")) == [
        "config.json", "diffusion_pytorch_model.bin"
    ]  # fmt: skip
    with pytest.raises(WeightsError, match=r"'hf:a/b' holds no prior: a UNet2DModel has config.json and"):
        chosen(["config.json", "model.safetensors"], HubName("a/b", ""))


@pytest.mark.parametrize("variable", ["ODEKIT_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_nothing_and_is_one_line(hub, monkeypatch, variable):
    hub.commit(files())
    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsError, match=r"the network is switched off .*; fetch them elsewhere and copy"):
        pull("hf:someone/prior")
    assert not hub.asked


def test_faults_of_the_hub_are_one_line_and_leave_nothing_usable(hub):
    hub.commit(files())
    for text in ("hf:someone/else", "hf:someone/prior@gone"):
        with pytest.raises(WeightsError, match=f"does not give '{text}'") as error:
            pull(text)
        assert "\n" not in str(error.value)
    weights = "diffusion_pytorch_model.safetensors"
    hub.lies[weights] = files()[weights][:-1] + b"\1"
    with pytest.raises(WeightsError, match=rf"{weights} is not the file of the hub \(its SHA-256 is"):
        pull("hf:someone/prior")
    with pytest.raises(WeightsError, match=r"get them with: odekit weights pull hf:someone/prior"):
        hub_folder("hf:someone/prior")
    hub.lies.clear()
    assert pull("hf:someone/prior")[0].is_dir()


def test_a_licence_that_is_not_permissive_is_to_be_accepted(hub):
    hub.commit(files())
    for licence, shown in (("cc-by-nc-4.0", "cc-by-nc-4.0"), (None, "none stated")):
        hub.licence = licence
        with pytest.raises(
            WeightsError, match=rf"\({shown}\) was not accepted, nothing was fetched; .*--accept-licence"
        ):
            pull("hf:someone/prior")
    assert not any("/resolve/" in line for line in hub.asked)


def test_a_changed_file_is_noticed(hub):
    hub.commit(files())
    folder, _ = pull("hf:someone/prior")
    (folder / "config.json").write_text("{}")
    with pytest.raises(
        WeightsError, match=r"config\.json is missing or has changed .* odekit weights pull hf:someone/prior --again"
    ):
        hub_folder("hf:someone/prior")


def test_a_chain_names_its_prior_and_a_run_fetches_nothing(hub, cli, tmp_path, faces):
    """From the miss, which names the command, over the command, to the picture; by commit, so that others get the same."""
    sha = hub.commit(files())
    name = f"hf:someone/prior@{sha}"
    (tmp_path / "hub.yaml").write_text(CHAIN.format(name=name))
    missed = cli("run", tmp_path / "hub.yaml", faces, "-o", tmp_path / "out")
    assert missed.code == 2 and missed.err.count("\n") == 1
    assert f"get them with: odekit weights pull {name}" in missed.err and not hub.asked
    pulled = cli("weights", "pull", name)
    assert pulled.code == 0, pulled.err
    assert cli("weights", "path", name).out == pulled.out
    hub.asked.clear()
    done = cli("run", tmp_path / "hub.yaml", faces, "-o", tmp_path / "out", "--limit", 2)
    assert done.code == 0, done.err
    assert not hub.asked
    part = next(
        p for p in json.loads(cli("explain", tmp_path / "hub.yaml", "--json").out)["parts"] if p["weights"] == name
    )
    assert part["commercial_use"] and "apache-2.0" in json.dumps(cli("explain", tmp_path / "hub.yaml", "--json").out)
    prior = Chain.load(tmp_path / "hub.yaml").open(device="cpu").prior("face")
    assert prior.shape == (3, 8, 8)


def test_a_prior_is_a_folder_or_a_name(tmp_path):
    for options, message in (
        ("{use: diffusers}", "give either 'path', a folder, or 'weights'"),
        ("{use: diffusers, path: ./x, weights: 'hf:a/b'}", "give either 'path'"),
        ("{use: diffusers, weights: google/ddpm}", "is not a name of the form hf:OWNER/NAME@REVISION"),
    ):
        (tmp_path / "a.yaml").write_text(f"odekit: 1\nname: a\npriors: {{face: {options}}}\nchain: [restore]\n")
        with pytest.raises(ConfigError, match=message):
            Chain.load(tmp_path / "a.yaml")


# --- export


def test_our_cards_have_the_front_matter_that_the_hub_reads():
    for card in sorted((ROOT / "odekit" / "assets").glob("*/README.md")):
        facts = front_matter(card.read_text("utf-8"))
        assert facts["license"] == ("apache-2.0" if card.parent.name == "yunet" else "mit"), card
        assert "face-restoration" in facts["tags"] and facts["library_name"] in ("odekit", "diffusers")


def test_a_prior_is_exported_and_read_again_by_its_folder(cli, tmp_path):
    done = cli("weights", "export", "face64", tmp_path / "out")
    assert done.code == 0, done.err
    assert front_matter((tmp_path / "out" / "README.md").read_text())["library_name"] == "diffusers"
    from odekit.parts.priors.folder import read_prior_folder

    spec = read_prior_folder(tmp_path / "out")
    assert build_network(spec, load_file(spec.weights), torch.float32)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"odekit.json", "config.json", "README.md"}
    again = cli("weights", "export", "face64", tmp_path / "out")
    assert again.code != 0 and "exists already and is not an empty folder" in again.err


def test_a_stored_file_becomes_safetensors_with_a_card_of_its_terms(cli, tmp_path, monkeypatch):
    from odekit.parts.installed import catalog
    from odekit.plugins.catalog import Weights

    known = Weights(
        "net", "somebody", "S-Lab 1.0", False, urls=["https://example.org/net.pth"], summary="A net", notice="Ask."
    )
    monkeypatch.setitem(catalog().weights, "net", known)
    torch.save({"params_ema": {"a": torch.arange(3.0)}}, tmp_path / "net.pth")
    assert cli("weights", "add", "net", tmp_path / "net.pth").code == 0
    done = cli("weights", "export", "net", tmp_path / "out")
    assert done.code == 0, done.err
    assert load_file(tmp_path / "out" / "model.safetensors")["a"].tolist() == [0, 1, 2]
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1, "others may read what others may"
    card = (tmp_path / "out" / "README.md").read_text()
    assert (front_matter(card)["license"], front_matter(card)["license_name"]) == ("other", "S-Lab 1.0")
    assert "https://example.org/net.pth" in card and "Ask." in card


def test_a_folder_of_ones_own_gets_a_card_and_an_own_front_matter_is_kept(cli, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    np.savez(folder / "balance.npz", a=np.ones(1))
    assert cli("weights", "export", folder, tmp_path / "out").code == 0
    assert (tmp_path / "out" / "README.md").read_text().startswith("---\nlicense: other\n")
    assert with_front_matter("---\nlicense: mit\n---\n# x\n", "Apache-2.0") == "---\nlicense: mit\n---\n# x\n"
    assert odekit.__version__
