"""`compile: true`: the network goes through torch.compile, says the same, and goes on where compiling fails."""

import os
import warnings

import pytest
import torch
from conftest import ROOT
from test_fast_blocks import network, said

from odekit import Chain
from odekit.chains.tuning import precision
from odekit.errors import OdekitWarning
from odekit.parts.priors.fast import compiled as module
from odekit.parts.priors.fast.blocks import use_fast_blocks
from odekit.parts.priors.fast.compiled import INDUCTOR_CACHE_VARIABLE, CompiledNetwork
from odekit.parts.priors.network import DiffusersPrior

FOLDER = ROOT / "odekit" / "assets" / "face64"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and none that the environment names."""
    monkeypatch.delenv(INDUCTOR_CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    yield tmp_path / "home" / "compiled"
    os.environ.pop(INDUCTOR_CACHE_VARIABLE, None)


@pytest.fixture
def asked(monkeypatch):
    """A torch.compile that compiles nothing; what it was asked for."""
    found = []

    def compile(function, **options):
        found.append(options)
        return lambda *args, **named: function(*args, **named)

    monkeypatch.setattr(torch, "compile", compile)
    return found


@pytest.fixture
def broken(monkeypatch):
    """A torch.compile whose product fails at every call; how often it was called."""
    calls = []

    def compile(function, **options):
        def fails(*args, **named):
            calls.append(1)
            raise RuntimeError("no working C++ compiler found\nsee the log")

        return fails

    monkeypatch.setattr(torch, "compile", compile)
    return calls


@pytest.mark.parametrize("device, mode", [("cpu", None), ("cuda:0", "reduce-overhead")])
def test_a_processor_gets_compiled_code_and_a_card_graphs(asked, device, mode):
    CompiledNetwork(network(), device)
    assert asked == [{"mode": mode, "dynamic": False}]


@pytest.mark.parametrize("compile, times", [(True, 1), (False, 0)])
def test_the_option_of_the_prior_decides(asked, compile, times, cache):
    chain = Chain.load("odedit", [f"priors.face={{use: face64, compile: {str(compile).lower()}}}"])
    prior = chain.open(device="cpu", precision="float32").networks["face"]
    assert len(asked) == times and isinstance(prior.network, CompiledNetwork) is compile
    assert chain.tree()["priors"]["face"]["compile"] is compile
    assert cache.is_dir() is compile


def test_what_it_says_is_what_the_plain_network_says(asked):
    x = torch.randn((2, 3, 64, 64), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain, fast = (DiffusersPrior.load(FOLDER, compile=one) for one in (False, True))
    assert torch.equal(plain.eps(x, 400.0), fast.eps(x, 400.0))


def test_a_failed_compilation_is_reported_once_and_the_plain_network_is_used(broken):
    net = use_fast_blocks(network())
    fast, shape = CompiledNetwork(net, "cpu"), (3, 16, 16)
    with pytest.warns(OdekitWarning, match=r"torch\.compile failed \(RuntimeError: no working C\+\+ compiler found\)"):
        first = said(fast, 2, 30.0, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = said(fast, 2, 30.0, shape)
    assert torch.equal(first, said(net, 2, 30.0, shape)) and torch.equal(first, second)
    assert len(broken) == 1


def test_memory_that_runs_out_is_no_failure_of_the_compiler(monkeypatch):
    def fails(*args, **named):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", lambda function, **options: fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        said(CompiledNetwork(use_fast_blocks(network()), "cpu"), 2, 30.0, (3, 16, 16))


def test_compiled_code_is_kept_in_odekits_cache_folder_or_where_the_environment_says(cache, monkeypatch, tmp_path):
    module.set_inductor_cache()
    assert os.environ[INDUCTOR_CACHE_VARIABLE] == str(cache) and cache.is_dir()
    monkeypatch.setenv(INDUCTOR_CACHE_VARIABLE, str(tmp_path / "mine"))
    module.set_inductor_cache()
    assert os.environ[INDUCTOR_CACHE_VARIABLE] == str(tmp_path / "mine")


def test_a_cache_folder_that_cannot_be_created_is_reported(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "file"))
    with pytest.warns(OdekitWarning, match="compiled networks cannot be kept .* set ODEKIT_HOME"):
        module.set_inductor_cache()
    assert INDUCTOR_CACHE_VARIABLE not in os.environ


def test_the_guard_measures_precisions_uncompiled(asked, monkeypatch):
    monkeypatch.setattr(precision, "supported_16bit_types", lambda device: ("bfloat16",))
    monkeypatch.setattr(
        precision,
        "measure_precisions",
        lambda load, device, names: load("float32") and precision.PrecisionChoice("bfloat16"),
    )
    chain = Chain.load("odedit", ["priors.face={use: face64, compile: true}"])
    assert precision.choose_precision("auto", "cpu", chain.spec, chain.parts) == "bfloat16" and asked == []


@pytest.mark.long
def test_torch_compile_agrees_up_to_rounding_and_its_output_is_cached(cache):
    plain, shape = use_fast_blocks(network(resnet_time_scale_shift="scale_shift")), (3, 16, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OdekitWarning)
        a, b = said(plain, 2, 30.0, shape), said(CompiledNetwork(plain, "cpu"), 2, 30.0, shape)
    assert (a - b).abs().max() <= 1e-5 * a.abs().max()
    assert any(cache.rglob("*.so"))
