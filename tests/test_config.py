"""A chain says what is wrong with it in one line: file:line:column, what, and the nearest valid name."""

import json

import pytest

from odekit import Chain, Langevin, Ode, Resize, Restore, Save, Upsample
from odekit.chains import document
from odekit.errors import ConfigError
from odekit.parts import builtin, installed
from odekit.plugins import discovery

HEAD = "odekit: 1\n"


def load(text, settings=()):
    return Chain.from_document(document.parse_yaml(text, "my.yaml"), settings)


BAD = {
    "unknown top key": (HEAD + "chian: [restore]", "my.yaml:2:1: chian: unknown key; did you mean 'chain'?"),
    "no version": ("chain: [restore]", "my.yaml:1:1: the key 'odekit: 1'"),
    "later version": ("odekit: 2\nchain: [restore]", "my.yaml:1:1: odekit: schema 2 is not supported"),
    "no chain": (HEAD + "name: x", "chain: the chain must be a list with at least one stage"),
    "empty chain": (HEAD + "chain: []", "my.yaml:2:1: chain: the chain must be a list with at least one stage"),
    "no mapping": ("- restore", "my.yaml:1:1: a chain is a mapping"),
    "empty file": ("", "my.yaml: a chain is a mapping"),
    "unknown stage": (HEAD + "chain:\n  - restoer", "my.yaml:3:5: chain[0].restoer: unknown stage 'restoer'; did you mean 'restore'?"),
    "unknown option": (HEAD + "chain:\n  - restore: {repaets: 2}", "my.yaml:3:15: chain[0].restore.repaets: unknown option of stage 'restore'; did you mean 'repeats'?"),
    "unknown part": (HEAD + "chain:\n  - restore: {inverter: {use: odd}}", "my.yaml:3:15: chain[0].restore.inverter: unknown inverter 'odd'; did you mean 'ode'?"),
    "unknown nested part": (HEAD + "chain:\n  - restore:\n      inverter: {use: ode, solver: ddimm}", "my.yaml:4:28: chain[0].restore.inverter.solver: unknown solver 'ddimm'; did you mean 'ddim'?"),
    "unknown nested option": (HEAD + "chain:\n  - restore: {inverter: {use: ode, stepz: 3}}", "my.yaml:3:36: chain[0].restore.inverter.stepz: unknown option of inverter 'ode'; did you mean 'steps'?"),
    "wrong type": (HEAD + "chain:\n  - restore: {inverter: {use: ode, steps: many}}", "my.yaml:3:36: chain[0].restore.inverter.steps: must be a valid integer (given: 'many')"),
    "number as text": (HEAD + "chain:\n  - restore: {repeats: '2'}", "chain[0].restore.repeats: must be a valid integer (given: '2')"),
    "truth as number": (HEAD + "chain:\n  - restore: {repeats: true}", "chain[0].restore.repeats: must be a valid integer (given: True)"),
    "nan": (HEAD + "chain:\n  - restore: {enhancer: {temperature: .nan}}", "temperature: must be a finite number (given: nan)"),
    "infinity": (HEAD + "chain:\n  - restore: {enhancer: {step: .inf}}", "step: must be a finite number (given: inf)"),
    "negative count": (HEAD + "chain:\n  - restore: {inverter: {steps: -5}}", "steps: must be greater than or equal to 2 (given: -5)"),
    "negative step": (HEAD + "chain:\n  - restore: {enhancer: {step: -1.0e-6}}", "step: must be greater than 0 (given: -1e-06)"),
    "wrong choice": (HEAD + "chain:\n  - restore: {inverter: {grid: uniform}}", "grid: must be 'auto', 'uniform-t', 'karras' or 'log-snr' (given: 'uniform')"),
    "level of a wrong type": (HEAD + "chain:\n  - restore: {enhancer: {levels: [0, x]}}", "my.yaml:3:38: chain[0].restore.enhancer.levels[1]: must be a valid integer, or a valid number (given: 'x')"),
    "two keys in a stage": (HEAD + "chain:\n  - restore: {}\n    save: {}", "my.yaml:3:5: chain[0]: a stage must have one key"),
    "upsampler without use": (HEAD + "chain:\n  - upsample: {scale: 2}", "chain[0].upsample: name the upsampler with 'use:'"),
    "save in the middle": (HEAD + "chain: [save, restore]", "'save' must be the last stage"),
    "unknown prior": (HEAD + "chain:\n  - restore: {prior: fase}", "chain[0].restore.prior: no prior is named 'fase'; did you mean 'face'?"),
    "two priors, none named": (HEAD + "priors: {a: face64, b: mixture}\nchain: [restore]", "name one of the chain's priors: a, b"),
    "tag": (HEAD + "chain: !!python/object:os.system []", "my.yaml:2:8: tags (tag:yaml.org,2002:python/object:os.system) are not allowed"),
    "own tag": (HEAD + "chain: !restore []", "my.yaml:2:8: tags (!restore) are not allowed"),
    "anchor": (HEAD + "chain: &a [restore]", "my.yaml:2:8: anchors and aliases (&a) are not allowed"),
    "bomb": ("a: &a [x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]", "my.yaml:1:4: anchors and aliases"),
    "duplicate key": (HEAD + "chain: [restore]\nchain: [save]", "my.yaml:3:1: duplicate key 'chain'"),
    "duplicate option": (HEAD + "chain:\n  - restore: {repeats: 1, repeats: 2}", "my.yaml:3:27: duplicate key 'repeats'"),
    "no yaml": (HEAD + "chain: [restore", "not valid YAML"),
    "binary": ("odekit: \x00", "not valid YAML"),
    "negative seed": (HEAD + "seed: -1\nchain: [restore]", "my.yaml:2:1: seed: the seed must be a whole number of at least 0"),
    "too many rounds": (HEAD + "chain:\n  - restore: {repeats: 1000}", "repeats: must be less than or equal to 100"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_an_error_is_one_line(case):
    text, expected = BAD[case]
    with pytest.raises(ConfigError) as error:
        load(text)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_setting_reaches_into_a_sub_chain_and_keeps_the_rest():
    text = (
        HEAD
        + "chain:\n  - faces:\n      each:\n        - restore: {repeats: 2}\n        - upsample: {use: resize, scale: 2}"
    )
    assert load(text, ["faces.each[1].upsample.scale=3"]) == load(text.replace("scale: 2", "scale: 3"))
    assert load(text) != load(text.replace("scale: 2", "scale: 3"))


@pytest.mark.parametrize("name", sorted(installed.catalog().chains))
def test_what_a_record_keeps_of_a_chain_is_that_chain(name):
    chain = Chain.load(name)
    again = Chain.from_document(document.parse_yaml(json.dumps(chain.tree()), "record.yaml"))
    assert again == chain


def test_a_part_of_a_plugin_that_is_not_installed_names_what_to_install():
    parts, _ = discovery.build([("odekit", builtin)])
    with pytest.raises(ConfigError) as error:
        Chain.from_document(document.parse_yaml(HEAD + "chain:\n  - upsample: codeformer", "my.yaml"), parts=parts)
    said = "the upsampler 'codeformer' comes with the plugin odekit-codeformer, which is not installed"
    assert f"{said}; pip install odekit-codeformer" in str(error.value)


PLANNED = {
    "level outside the grid": ("restore.enhancer.levels=[100]", "chain[0].restore: level 100 is not on the grid: indices run from 0 to 99"),
    "fraction outside the schedule": ("restore.enhancer.levels=[1.5]", "level 1.5 is outside the schedule"),
    "unstable step": ("restore.enhancer.step=1.0", "is unstable at level 0"),
    "more steps than timesteps": ("restore.inverter.steps=2000", "a grid has between 2 and 1000 levels"),
    "no iterations": ("restore.enhancer.iterations=-3", "iterations is -3: it must be at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANNED)
def test_what_cannot_work_is_found_before_any_weight_is_loaded(case):
    setting, expected = PLANNED[case]
    with pytest.raises(ConfigError) as error:
        load(HEAD + "chain: [restore]", [setting]).plan()
    assert expected in str(error.value)


def test_a_chain_of_parts_equals_its_yaml():
    text = """
    odekit: 1
    chain:
      - restore:
          inverter: {use: ode, steps: 50, grid: karras}
          enhancer: {use: langevin, iterations: heavy}
      - upsample: {use: resize, scale: 2}
      - save: {format: png}
    """
    parts = [
        Restore(inverter=Ode(steps=50, grid="karras"), enhancer=Langevin(iterations="heavy")),
        Upsample("resize", scale=2),
        Save(format="png"),
    ]
    assert Chain(parts) == load(text)
    assert Chain(parts) != load(text, ["upsample.scale=3"])
    assert Chain([Upsample(Resize(scale=2.0))]) == Chain([Upsample("resize", scale=2)])


def test_a_written_out_chain_reads_back_as_itself():
    chain = load(HEAD + "name: x\nseed: 7\nchain: [restore, {upsample: resize}]")
    assert load(json.dumps(chain.tree())) == chain


@pytest.mark.parametrize(
    "short", ["- restore", "- restore:", "- restore: {}", "- restore: {inverter: ode}", "- restore: {inverter: {}}"]
)
def test_short_forms_are_the_defaults(short):
    assert load(HEAD + "chain:\n  " + short) == Chain([Restore()])


def test_a_prior_given_as_a_path_is_a_diffusers_folder():
    chain = load(HEAD + "priors: {face: ./my/prior}\nchain: [restore]")
    assert chain.tree()["priors"] == {
        "face": {"use": "diffusers", "compile": False, "path": "./my/prior", "weights": None}
    }


SETTINGS = {
    "a number deep down": ("restore.enhancer.iterations=200", lambda t: t["restore"]["enhancer"]["iterations"] == 200),
    "a part by name": ("restore.enhancer=none", lambda t: t["restore"]["enhancer"] == {"use": "none"}),
    "an option of a part named in short": ("restore.inverter.solver.label=target", lambda t: t["restore"]["inverter"]["solver"]["label"] == "target"),
    "a list": ("restore.enhancer.levels=[0, 0.5]", lambda t: t["restore"]["enhancer"]["levels"] == [0, 0.5]),
    "an element of a list": ("restore.enhancer.levels[1]=0.3", lambda t: t["restore"]["enhancer"]["levels"] == [0.0, 0.3]),
    "a stage by number": ("restore[0].repeats=2", lambda t: t["restore"]["repeats"] == 2),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_set_changes_one_option(case):
    setting, holds = SETTINGS[case]
    text = HEAD + "chain:\n  - restore: {inverter: {solver: ddim}, enhancer: {use: langevin, levels: [0.0, 0.25]}}"
    assert holds(load(text, [setting]).tree()["chain"][0])


def test_set_reaches_top_keys():
    chain = load(HEAD + "chain: [restore]", ["seed=5", "priors.face=mixture", "priors.face.side=64"])
    assert chain.tree()["seed"] == 5
    assert chain.tree()["priors"]["face"]["side"] == 64


BAD_SETTINGS = {
    "restore.inverter.stepz=3": "--set restore.inverter.stepz=3: unknown option of inverter 'ode'; did you mean 'steps'?",
    "restoer.repeats=3": "--set restoer.repeats=3: the chain has no stage 'restoer' and no option 'restoer.repeats'; did you mean 'restore.repeats'?",
    "restore.repeats": "write it as path=value",
    "restore.repeats.x=1": "--set restore.repeats.x=1: 'repeats' has no options",
    "upsample.scale=2": "2 stages are named 'upsample'; write upsample[0], upsample[1] ...",
    "upsample[5].scale=2": "the chain has no stage 'upsample'",
    "restore.repeats=[1": "not valid YAML",
}  # fmt: skip


PHOTO = """
chain:
  - mend
  - faces:
      select: {min_side: 30}
      each:
        - restore: {enhancer: {use: langevin, iterations: 3, levels: [0.0]}}
        - upsample: {use: resize, scale: 2}
      background: [denoise, {upsample: resize}]
"""
FOUND = {
    "paste.detail=0.0": "faces.paste.detail=0.0",
    "detail=0.0": "faces.paste.detail=0.0",
    "min_side=5.0": "faces.select.min_side=5.0",
    "iterations=heavy": "faces.each[0].restore.enhancer.iterations=heavy",
    "enhancer.iterations=heavy": "restore.enhancer.iterations=heavy",
    "enhancer.levels[0]=0.5": "restore.enhancer.levels=[0.5]",
    "align.side=256": "faces.align.side=256",
    "scratches=true": "mend.scratches=true",
    "mend.scratches=true": "mend.scratches=true",
    "denoise.amount=2.0": "faces.background[0].denoise.amount=2.0",
    "solver.label=target": "restore.inverter.solver.label=target",
}


@pytest.mark.parametrize("setting", FOUND)
def test_the_end_of_a_path_finds_the_only_option_that_has_it(setting):
    assert load(HEAD + PHOTO, [setting]) == load(HEAD + PHOTO, [FOUND[setting]])
    assert load(HEAD + PHOTO, [setting]) != load(HEAD + PHOTO)


NOT_FOUND = {
    "scale=3": "2 options are named 'scale'; write one of: upsample[0].scale, upsample[1].scale",
    "score=0.5": "2 options are named 'score'; write one of: faces.detect.score, faces.select.score",
    "paste.detial=0": "the chain has no stage 'paste' and no option 'paste.detial'; did you mean 'faces.paste.detail'?",
    "min_sid=0": "the chain has no stage or option 'min_sid'; did you mean 'faces.select.min_side'?",
    "faces.detail=0": "the stage 'faces' has no option 'detail'; did you mean 'faces.paste.detail'?",
    "faces.score=0": "the stage 'faces' has no option 'score'; did you mean 'faces.detect.score' or 'faces.select.score'?",
    "denoize.amount=1.0": "did you mean 'denoise.amount'?",
    "paste.mask[0]=1": "'mask' is not a list in the chain; write the whole list, mask=[...]",
    "faces.each[7].restore.repeats=1": "'each' has 2 entries, which count from 0",
    "sead=1": "the chain has no stage or option 'sead'; did you mean 'seed'?",
}


@pytest.mark.parametrize("setting", NOT_FOUND)
def test_an_end_that_no_option_or_several_have_is_named(setting):
    with pytest.raises(ConfigError) as error:
        load(HEAD + PHOTO, [setting])
    assert NOT_FOUND[setting] in str(error.value)
    assert "\n" not in str(error.value)


def test_an_end_follows_the_part_that_an_earlier_setting_has_chosen():
    chain = load(HEAD + "chain: [{upsample: resize}]", ["upsample=face-x4"])
    assert chain == load(HEAD + "chain: [{upsample: face-x4}]")
    with pytest.raises(ConfigError, match="the chain has no stage or option 'scale'"):
        load(HEAD + "chain: [{upsample: resize}]", ["upsample=face-x4", "scale=2"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{each: }", "chain[0].faces.each: 'each' is empty; list at least one stage, such as '- restore'"),
        (
            "{each: [restore], detect: }",
            "faces.detect: 'detect' is empty; name the detector, or remove the key for 'builtin'",
        ),
        ("{each: [restore], select: }", "faces.select: must be a mapping of options (given: None)"),
        (
            "{each: [{restore: {inverter: }}]}",
            "restore.inverter: 'inverter' is empty; name the inverter, or remove the key for 'ode'",
        ),
    ],
)
def test_a_key_without_a_value_is_one_line_without_names_of_classes(options, expected):
    with pytest.raises(ConfigError) as error:
        load(HEAD + f"chain: [{{faces: {options}}}]")
    assert str(error.value).startswith("my.yaml:2:") and expected in str(error.value)


@pytest.mark.parametrize("setting", BAD_SETTINGS)
def test_a_setting_that_cannot_be_meant_is_named(setting):
    with pytest.raises(ConfigError) as error:
        load(HEAD + "chain: [{restore: {repeats: 1}}, {upsample: resize}, {upsample: resize}]", [setting])
    assert BAD_SETTINGS[setting] in str(error.value)


def test_yaml_numbers_are_those_of_yaml_1_2():
    data = document.parse_yaml("[1, 010, 0x1F, 1_000, 1e-6, 1.5, true, null, yes, '1']", "x").data
    assert data == [1, 10, 31, 1000, 1e-6, 1.5, True, None, "yes", "1"]
