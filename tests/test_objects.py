"""Parts as Python objects: made in a notebook, given to a chain, recorded, and named with `odekit.register`."""

import functools
import json

import numpy as np
import pytest
import torch
from conftest import picture

import odekit
from odekit.errors import ConfigError, OptionError, PluginError
from odekit.parts.installed import catalog
from odekit.plugins import Carry, Options
from odekit.runs.digests import dependencies_of

FACE = picture(2, 8, 8)
BLACK = np.zeros((8, 8, 3), np.uint8)
MIXTURE = {"use": "mixture", "side": 8}


class Midpoint:
    """The explicit midpoint method."""

    order, nfe_per_step, reversible = 2, 2.0, False

    def __init__(self, at: float = 0.5):
        self.at = at

    def start(self, field, y, rho):
        return Carry(y, rho)

    def step(self, field, carry, rho):
        h = rho - carry.rho
        middle = carry.y + self.at * h * field(carry.y, carry.rho)
        return Carry(carry.y + h * field(middle, carry.rho + self.at * h), rho)

    def turn(self, carry):
        return carry

    def displace(self, carry, delta):
        return Carry(carry.y + delta, carry.rho)


class Nudge:
    """An enhancer that moves the lowest level."""

    def acts_on(self, levels):
        return frozenset({0})

    def enhance(self, x, level, levels, prior, rng):
        return x + 0.1


class Negative:
    """A stage."""

    def run(self, batch, context):
        return [image.with_pixels(1 - image.pixels) for image in batch]


class Flat:
    """A prior: the ideal one of black pictures."""

    shape = (3, 8, 8)

    def __init__(self):
        from odekit.plugins import NoiseSchedule

        self.schedule = NoiseSchedule.linear()

    def eps(self, x, t):
        abar = self.schedule.abar_at(t)
        return (x + abar**0.5) / (1 - abar) ** 0.5


def chain_of(solver="ddim", enhancer="none", prior=MIXTURE, **more):
    inverter = odekit.Ode(solver=solver, steps=6, grid="uniform-t")
    return odekit.Chain([odekit.Restore(inverter=inverter, enhancer=enhancer)], priors={"face": prior}, **more)


@pytest.fixture
def clean_catalog():
    before = {key: list(entries) for key, entries in catalog().entries.items()}
    yield
    catalog().entries = before


def test_a_solver_object_is_used_and_recorded():
    chain = chain_of(Midpoint())
    result = chain.run(FACE)
    assert result.record["stages"][0]["calls"] == chain.plan().calls == 24
    assert not np.array_equal(result.to_numpy(np.float64), chain_of().run(FACE).to_numpy(np.float64))
    facts = result.record["chain"]["chain"][0]["restore"]["inverter"]["solver"]["object"]
    assert facts["class"] == "Midpoint" and facts["module"] == __name__ and facts["distribution"] == "session"
    assert facts["version"].startswith("source ") and facts["attributes"] == {"at": 0.5}
    part = result.record["depends"]["parts"]["solver Midpoint"]
    assert part == {"dist": "session", "version": facts["version"], "results": None}


def test_a_record_is_whole_and_json():
    record = chain_of(Midpoint(), seed=4).run(FACE).record
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record, sort_keys=True))
    assert {
        "schema",
        "input",
        "changed",
        "calls",
        "seconds",
        "stages",
        "chain",
        "seed",
        "device",
        "precision",
        "slots",
        "threads",
        "depends",
        "versions",
        "weights",
    } <= set(record)
    assert record["seed"] == 4 and record["input"]["size"] == [8, 8] and record["versions"]["odekit"]


def test_records_name_the_version_of_every_part_of_a_distribution():
    sdedit = {"use": "sdedit", "t0": 20}
    parts = (
        odekit.Chain([odekit.Restore(inverter=sdedit, enhancer="none")], priors={"face": MIXTURE})
        .run(FACE)
        .record["depends"]["parts"]
    )
    assert parts["inverter sdedit"]["dist"] == "odekit-sdedit" and parts["inverter sdedit"]["version"] == "0.1.0"
    assert {part["dist"] for part in parts.values()} == {"odekit", "odekit-sdedit"}


def test_enhancers_stages_and_priors_are_objects_too():
    plain = chain_of().run(FACE).to_numpy(np.float64)
    assert np.abs(chain_of(enhancer=Nudge()).run(FACE).to_numpy(np.float64) - plain).max() > 0.01
    negative = odekit.Chain([Negative()]).run(FACE)
    assert np.array_equal(negative.to_numpy(), 255 - FACE)
    assert negative.record["stages"][0]["stage"] == "Negative"
    # Inverted and decoded with the prior of black pictures, a black picture stays black.
    black = chain_of(prior=Flat()).run(BLACK)
    assert black.to_numpy().max() <= 1 and black.record["depends"]["parts"]["prior Flat"]["dist"] == "session"


def test_another_object_is_another_chain():
    assert chain_of(Midpoint()) == chain_of(Midpoint())
    assert chain_of(Midpoint()) != chain_of(Midpoint(at=0.7))
    assert chain_of(Midpoint()) != chain_of()
    assert dependencies_of(chain_of(Midpoint())) == dependencies_of(chain_of(Midpoint()))


def test_a_chain_file_cannot_hold_an_object_and_says_so():
    chain = chain_of(Midpoint())
    for attempt in (chain.to_yaml, lambda: odekit.Chain(chain.tree()["chain"])):
        with pytest.raises(
            ConfigError, match=r"chain\[0\].restore.inverter.solver: an object of the class Midpoint .* odekit.register"
        ):
            attempt()
    with pytest.raises(ConfigError, match=r"chain\[0\].*Negative"):
        odekit.Chain(odekit.Chain([Negative()]).tree()["chain"])


def test_a_chain_of_names_is_written_and_read_back(tmp_path):
    (tmp_path / "a.yaml").write_text(odekit.Chain.load("photo").to_yaml())
    assert odekit.Chain.load(tmp_path / "a.yaml") == odekit.Chain.load("photo")


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        (Midpoint, r"Midpoint is a class; give an object, such as Midpoint\(\)"),
        (Nudge(), "Nudge is no solver: it has no 'start', 'step', 'turn', 'displace', 'order', 'nfe_per_step', 'reversible'; see odekit.plugins.Solver"),
        (3, "the solver must be a name or a mapping with 'use:', not 3"),
    ],
)  # fmt: skip
def test_what_is_no_solver_is_refused_in_one_line(solver, said):
    with pytest.raises(ConfigError, match=said):
        chain_of(solver)


# Names


def test_a_registered_solver_has_a_name_and_options_in_every_chain(clean_catalog):
    odekit.register("solver", "mid", Midpoint, replace=True)
    odekit.register("solver", "mid", Midpoint, replace=True)  # the cell runs twice
    chain = odekit.Chain.load("odedit", ["restore.inverter.solver=mid", "restore.inverter.solver.at=0.7"])
    assert chain.spec.items[0].options.inverter.options.solver.options.at == 0.7
    named, given = chain_of({"use": "mid", "at": 0.7}), chain_of(Midpoint(0.7))
    assert np.array_equal(named.run(FACE).to_numpy(np.float64), given.run(FACE).to_numpy(np.float64))
    assert "use: mid" in named.to_yaml()
    assert named.run(FACE).record["depends"]["parts"]["solver mid"]["version"].startswith("source ")
    with pytest.raises(ConfigError, match=r"att: unknown option of solver 'mid'; did you mean 'at'\?"):
        chain_of({"use": "mid", "att": 1})


def test_a_class_with_an_option_model_and_a_stage_with_tools_are_registered(clean_catalog):
    class Shift(Options):
        part = "shift"
        by: float = 0.1

    class ShiftStage:
        def __init__(self, options: Shift, tools):
            self.by, self.device = options.by, tools.device

        def run(self, batch, context):
            return [image.with_pixels(np.clip(image.pixels + self.by, 0, 1).astype(np.float32)) for image in batch]

    odekit.register("stage", "shift", ShiftStage, options=Shift)
    assert odekit.Chain([Shift(by=1.0)]).run(FACE).to_numpy().min() == 255
    assert odekit.Chain([{"shift": {"by": 0.0}}]).run(FACE).record["changed"] is False


def call_midpoint(at=0.3):
    return Midpoint(at)


class Maker:
    def __call__(self, at: float = 0.3):
        return Midpoint(at)


@pytest.mark.parametrize(
    "factory",
    [functools.partial(Midpoint, at=0.3), call_midpoint, Maker(), lambda at=0.3: Midpoint(at)],
    ids=["partial", "function", "object", "lambda"],
)
def test_whatever_makes_a_solver_is_registered(clean_catalog, factory):
    odekit.register("solver", "mid", factory)
    assert np.array_equal(
        chain_of("mid").run(FACE).to_numpy(np.float64), chain_of(Midpoint(0.3)).run(FACE).to_numpy(np.float64)
    )
    assert chain_of({"use": "mid", "at": 0.7}) != chain_of("mid")
    assert chain_of("mid").run(FACE).record["depends"]["parts"]["solver mid"]["version"].startswith("source ")


def test_a_name_whose_registration_failed_does_not_exist(clean_catalog):
    with pytest.raises(ConfigError):
        odekit.register("solver", "bad", lambda y: y)
    with pytest.raises(ConfigError, match="unknown solver 'bad'; known: belm, ddim"):
        chain_of("bad")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("solver", "ddim", Midpoint), "the solver 'ddim' is one of odekit"),
        (("solvers", "mid", Midpoint), "no kind of part 'solvers'; did you mean 'solver'"),
        (("solver", "a/b", Midpoint), "the name of a part has letters"),
        (("solver", "mid", 3), "register a class or a function"),
        (("solver", "mid", lambda y: y), "the parameter 'y' has no default"),
    ],
)
def test_what_cannot_be_registered_is_refused(clean_catalog, arguments, said):
    with pytest.raises(ConfigError, match=said):
        odekit.register(*arguments, replace=True)


def test_a_name_is_replaced_only_on_request(clean_catalog):
    odekit.register("solver", "mid", Midpoint)
    with pytest.raises(ConfigError, match="registered already; replace=True"):
        odekit.register("solver", "mid", Midpoint)


def test_an_object_that_fails_while_it_is_made_is_named(clean_catalog):
    class Broken(Midpoint):
        def __init__(self):
            raise RuntimeError("no luck")

    odekit.register("solver", "broken", Broken)
    with pytest.raises((PluginError, ConfigError), match=r"the solver 'broken'.*no luck"):
        chain_of("broken").plan()


# Options in Python


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: odekit.Ode(stepz=3), "Ode.stepz: unknown option of Ode; did you mean 'steps'?"),
        (lambda: odekit.Ode(10), "Ode: options are given by name, such as Ode(solver=...)"),
        (lambda: odekit.Ode(steps="ten"), "Ode.steps: must be a valid integer (given: 'ten')"),
        (lambda: odekit.Ode(steps=1), "Ode.steps: must be greater than or equal to 2 (given: 1)"),
        (lambda: odekit.Langevin(levels=[]), "Langevin.levels: must have at least 1 item, not 0 (given: [])"),
        (lambda: odekit.Upsample(), "Upsample.upsampler: the option 'upsampler' of Upsample is missing"),
        (lambda: odekit.Faces(), "Faces.each: the option 'each' of Faces is missing"),
        (
            lambda: odekit.Faces(each=["restore"], deteckt=1),
            "Faces.deteckt: unknown option of Faces; did you mean 'detect'?",
        ),
        (
            lambda: odekit.Upsample(odekit.Resize(), scale=2),
            "Upsample.scale: belongs into the object that was given, or use a name",
        ),
        (
            lambda: setattr(odekit.Ode(), "steps", 3),
            "Ode.steps: options are not changed; make others, such as Ode(steps=...)",
        ),
        (lambda: setattr(odekit.Ode(), "stepz", 3), "Ode.stepz: unknown option of Ode; did you mean 'steps'?"),
    ],
)
def test_a_wrong_option_is_one_line_with_the_nearest_name(make, said):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == said
    assert isinstance(caught.value, ConfigError) and isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: odekit.Chain([odekit.Ode()]), r"unknown stage 'ode', which is the name of another kind of part \(inverter\); known: denoise"),
        (lambda: odekit.Chain.load("odedit", "restore.prior=face"), r"settings are a list: Chain.load\('odedit', \['restore.prior=face'\]\)"),
        (lambda: chain_of().run(FACE, seed="one"), "the seed must be a whole number of at least 0, not 'one'"),
        (lambda: chain_of(seed=-1), "the seed must be a whole number of at least 0, not -1"),
        (lambda: odekit.restore(FACE, seed=1.5), "the seed must be a whole number of at least 0, not 1.5"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_one_line(make, said):
    with pytest.raises(ConfigError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_seed_of_numpy_is_a_seed():
    assert chain_of(seed=np.int64(3)) == chain_of(seed=3)
    assert chain_of().run(FACE, seed=np.uint8(3)).record["seed"] == 3


@pytest.mark.parametrize(
    "stages",
    [["restore"], [odekit.Restore()], [{"restore": {}}], ("restore",), [Negative()], ["restore", odekit.Upsample("resize")]],
)  # fmt: skip
def test_faces_takes_the_stages_of_its_chains_in_every_form(stages):
    faces = odekit.Faces(
        each=stages, background=stages, detect=odekit.YunetDetector(score=0.5), paste={"mask": odekit.Square()}
    )
    (item,) = odekit.Chain([faces]).spec.items
    assert len(item.options.each) == len(item.options.background) == len(stages)
    assert item.options.detect.options.score == 0.5 and item.options.paste.mask.name == "square"


def test_a_face_stage_inside_a_face_stage_is_refused_in_python_too():
    with pytest.raises(ConfigError, match="faces are detected in whole photographs only"):
        odekit.Chain([odekit.Faces(each=[odekit.Faces(each=["restore"])])])


def test_a_chain_shows_its_stages():
    assert repr(odekit.Chain(["restore", odekit.Upsample("resize")])) == "Chain(restore, upsample)"
    assert repr(odekit.Chain.load("odedit")) == "Chain(odedit: restore)"


# Networks in memory


@pytest.fixture(scope="module")
def unet():
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def test_a_diffusers_network_is_a_prior_as_it_is(unet, tmp_path):
    unet.save_pretrained(tmp_path / "saved")
    in_memory, saved = (chain_of(prior=prior).run(FACE) for prior in (unet, str(tmp_path / "saved")))
    assert np.array_equal(in_memory.image.pixels, saved.image.pixels)
    facts = in_memory.record["chain"]["priors"]["face"]["object"]
    assert facts["class"] == "UNet2DModel" and facts["distribution"] == "diffusers" and facts["version"]


@pytest.mark.long  # importing pipelines takes 10 s
def test_a_diffusers_network_or_pipeline_is_a_prior_as_it_is(unet, tmp_path):
    from diffusers import DDPMPipeline, DDPMScheduler

    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    pipeline = DDPMPipeline(unet=unet, scheduler=DDPMScheduler())
    pipeline.save_pretrained(tmp_path / "saved")
    results = [chain_of(prior=prior).run(FACE) for prior in (unet, pipeline, str(tmp_path / "saved"))]
    for result in results[1:]:
        assert np.array_equal(result.image.pixels, results[0].image.pixels)
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())
    facts = results[1].record["chain"]["priors"]["face"]["object"]
    assert facts["class"] == "DDPMPipeline" and facts["distribution"] == "diffusers" and facts["version"]
    assert results[0].record["weights"]["face"] == results[1].record["weights"]["face"] != ""


@pytest.mark.long
def test_the_scheduler_of_a_pipeline_counts(unet):
    from diffusers import DDPMPipeline, DDPMScheduler

    cosine = DDPMPipeline(unet=unet, scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"))
    v = DDPMPipeline(unet=unet, scheduler=DDPMScheduler(prediction_type="v_prediction"))
    outputs = [chain_of(prior=prior).run(FACE).to_numpy(np.float64) for prior in (unet, cosine, v)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4 and np.abs(outputs[0] - outputs[2]).max() > 1e-4


def test_a_network_that_is_no_prior_is_refused(unet):
    with pytest.raises(ConfigError, match=r"priors.face: Linear is no prior: it has no 'eps', 'shape', 'schedule'"):
        chain_of(prior=torch.nn.Linear(1, 1))
    from diffusers import UNet2DModel

    classes = UNet2DModel(sample_size=8, block_out_channels=(8, 8), norm_num_groups=4, num_class_embeds=3, down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2)  # fmt: skip
    with pytest.raises(odekit.WeightsError, match="num_class_embeds is 3"):
        chain_of(prior=classes)


# Progress and stopping


def test_tell_hears_of_every_network_call_and_stage():
    heard = []
    result = chain_of(Midpoint()).run([FACE, FACE[::-1]], batch_size=1, tell=heard.append)
    assert heard[-1].finished == heard[-1].images == 2
    assert heard[-1].calls == 48 and [one.calls for one in heard] == sorted(one.calls for one in heard)
    assert {one.phase for one in heard if one.calls} >= {"restoring faces"} and len(result) == 2


def test_stopped_ends_the_call_at_the_next_network_call_and_the_session_runs_again():
    calls = []

    class Counted(Flat):
        def eps(self, x, t):
            calls.append(t)
            return super().eps(x, t)

    chain = chain_of(prior=Counted())
    whole = chain.run(BLACK)
    assert len(calls) == 12
    calls.clear()

    def tell(progress):
        if progress.calls == 3:
            raise odekit.Stopped

    with pytest.raises(odekit.Stopped):
        chain.run(BLACK, tell=tell)
    assert len(calls) <= 3
    calls.clear()
    session = chain.open(images=1, on_calls=lambda number: tell(odekit.Progress(1, calls=len(calls))))
    with pytest.raises(odekit.Stopped):
        session.run([odekit.as_image(BLACK)])
    assert len(calls) == 3
    calls.append(0)  # the callback lets it pass now
    assert np.array_equal(session.run([odekit.as_image(BLACK)])[0].image.pixels, whole.image.pixels)


def test_restore_stops_too():
    with pytest.raises(odekit.Stopped):
        odekit.restore(picture(1, 64, 64), tell=lambda progress: (_ for _ in ()).throw(odekit.Stopped))
