"""The node pack, loaded as ComfyUI loads it: schemas, batches, masks, choices, progress and interruption."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from projects import about as project

import odekit
from odekit.core.console_advice import CONSOLE

from . import comfy_stand_in
from .running import batch, run

PACK = Path(__file__).parent.parent
WORKFLOW = json.loads((PACK / "example_workflows" / "restore-photograph.json").read_text())


def test_the_three_nodes_say_what_they_take_and_give(nodes):
    shown = {id: node.define_schema() for id, node in nodes.items()}
    assert {id: schema.display_name for id, schema in shown.items()} == {
        "OdekitRestoreFaces": "Restore Faces (odekit)",
        "OdekitRestoreAlignedFace": "Restore Aligned Face (odekit)",
        "OdekitLoadChain": "Load Chain (odekit)",
    }
    kinds = [(slot.id, slot.kind) for slot in shown["OdekitRestoreFaces"].inputs]
    assert kinds == [
        ("image", "IMAGE"), ("chain", "COMBO"), ("strength", "COMBO"), ("seed", "INT"),
        ("loaded_chain", "ODEKIT_CHAIN"), ("scratches", "MASK"),
    ]  # fmt: skip
    assert [slot.kind for slot in shown["OdekitRestoreAlignedFace"].outputs] == ["IMAGE", "MASK", "STRING"]
    chains = {id: shown[id].inputs[1].facts for id in ("OdekitRestoreFaces", "OdekitRestoreAlignedFace")}
    assert [facts["options"][0] for facts in chains.values()] == ["photo", "odedit-plus"]
    assert all(facts["default"] in facts["options"] for facts in chains.values())


def test_a_batch_comes_back_as_the_chain_gives_it(nodes, exact):
    image = batch(3)
    restored, reliability, text = run(nodes["OdekitRestoreAlignedFace"], image, exact, seed=5)
    chain = odekit.Chain.load(exact)
    wanted = [
        result.to_numpy(np.float32) for result in chain.run([frame.numpy() for frame in image], seed=5, batch_size=8)
    ]
    assert restored.dtype == torch.float32 and restored.shape == (3, 8, 8, 3)
    assert np.array_equal(restored.numpy(), np.stack(wanted))
    assert reliability.shape == (3, 8, 8) and bool((reliability == 1).all())
    assert len(text.splitlines()) == 3 and "restored" in text


def test_the_networks_stay_loaded_while_the_chain_is_the_same(nodes, exact):
    node = nodes["OdekitRestoreAlignedFace"]
    restoring = sys.modules[node.__module__].restore.__globals__
    first = run(node, batch(), exact, seed=1)[0]
    (session,) = restoring["_OPEN"].values()
    again = run(node, batch(), exact, seed=2)[0]
    assert [session] == list(restoring["_OPEN"].values())
    assert not torch.equal(first, again)  # the seed is that of the node
    assert torch.equal(first, run(node, batch(), exact, seed=1)[0])


@pytest.mark.parametrize(
    ("chain", "strength", "message"),
    [
        ("phto", "auto", "did you mean 'photo'"),
        ("photo", "strong", "strength 'strong': choose auto, none, light, medium, heavy"),
        ("../chain.yaml", "auto", "choose a name, such as photo or odedit-plus; files are not read"),
        (None, "auto", "choose a name"),
        ("gfpgan-large", "auto", "unknown chain"),
    ],
)
def test_choices_that_come_by_the_api_are_checked_here(nodes, chain, strength, message):
    for id in ("OdekitRestoreFaces", "OdekitRestoreAlignedFace"):
        with pytest.raises(odekit.ConfigError, match=message):
            run(nodes[id], batch(), chain, strength)
    with pytest.raises(odekit.ConfigError, match=message):
        nodes["OdekitLoadChain"].execute(chain, strength)


def test_a_chain_whose_weights_are_not_there_is_told_without_commands_to_type(nodes):
    with pytest.raises(odekit.WeightsError, match="are not on this machine; who runs this ComfyUI can ins") as caught:
        run(nodes["OdekitRestoreFaces"], batch(), "gfpgan")
    assert not CONSOLE.search(str(caught.value))


def test_load_chain_changes_options_and_wins_over_the_node(nodes, exact):
    (choice,) = nodes["OdekitLoadChain"].execute(exact, "auto", "# fewer\n\nrestore.enhancer=none\n").values
    plain = run(nodes["OdekitRestoreAlignedFace"], batch(), exact)[0]
    changed = run(nodes["OdekitRestoreAlignedFace"], batch(), "photo", loaded_chain=choice)[0]
    assert changed.shape == plain.shape and not torch.equal(changed, plain)
    with pytest.raises(odekit.ConfigError, match="'denoise' is not path=value"):
        nodes["OdekitLoadChain"].execute(exact, "auto", "denoise")
    with pytest.raises(odekit.ConfigError, match=r"^settings: restore.enhancr=none: .* did you mean 'enhancer'"):
        nodes["OdekitLoadChain"].execute(exact, "auto", "restore.enhancr=none")


def test_the_bar_moves_to_its_end(nodes, exact):
    run(nodes["OdekitRestoreAlignedFace"], batch(), exact)
    moved = comfy_stand_in.ProgressBar.moved
    assert len(moved) > 3 and [done for done, _ in moved] == sorted(done for done, _ in moved)
    assert moved[-1] == (1000, 1000)


@pytest.mark.parametrize("number", [1, 4, 10])
def test_the_bar_moves_evenly_over_a_batch(nodes, exact, number):
    """Ten steps of the network for each group of eight; a batch of one group is one picture to the bar."""
    run(nodes["OdekitRestoreAlignedFace"], batch(number), exact)
    places = [done for done, _ in comfy_stand_in.ProgressBar.moved]
    assert places == sorted(places) and places[-1] == 1000
    assert max(np.diff([0, *places])) <= 110, places


def test_the_bar_moves_through_the_stages_of_photographs(nodes):
    photo = odekit.read(PACK.parent.parent / "examples" / "photos" / "astronaut.jpg").to_numpy(np.float32)
    noise = np.random.Generator(np.random.Philox(0)).standard_normal(photo.shape)
    frame = torch.from_numpy(np.clip(photo + 0.15 * noise, 0, 1).astype(np.float32)[:320, 40:360])
    run(nodes["OdekitRestoreFaces"], torch.stack([frame] * 3), "photo")
    places = [done for done, _ in comfy_stand_in.ProgressBar.moved]
    assert places == sorted(places) and places[-1] == 1000
    assert max(np.diff([0, *places])) <= 200, places


def test_an_interruption_ends_the_call_and_is_raised_again(nodes, exact):
    node = nodes["OdekitRestoreAlignedFace"]
    whole = run(node, batch(), exact)[0]
    comfy_stand_in.ProgressBar.moved, comfy_stand_in.ProgressBar.interrupt_at = [], 3
    with pytest.raises(comfy_stand_in.Interrupted):
        run(node, batch(), exact)
    assert len(comfy_stand_in.ProgressBar.moved) == 3  # no network call after it
    comfy_stand_in.ProgressBar.interrupt_at = None
    assert torch.equal(whole, run(node, batch(), exact)[0])


def test_a_picture_that_fails_is_named_by_its_number(nodes, exact):
    wide = torch.rand(2, 8, 16, 3)
    with pytest.raises(odekit.OdekitError, match=r"picture 1 of 2: .*square"):
        run(nodes["OdekitRestoreAlignedFace"], wide, exact)


def test_pictures_that_resizing_took_a_little_beyond_their_range_are_clipped(nodes, exact):
    beyond = batch(1) * 1.2 - 0.1
    clipped = run(nodes["OdekitRestoreAlignedFace"], beyond.clamp(0, 1), exact)[0]
    assert torch.equal(run(nodes["OdekitRestoreAlignedFace"], beyond, exact)[0], clipped)


def test_a_photograph_has_a_mask_of_its_faces_and_scratches_are_filled(nodes):
    photo = odekit.read(PACK.parent.parent / "examples" / "photos" / "astronaut.jpg")
    image = torch.from_numpy(photo.to_numpy(np.float32))[None]
    image[:, 300:303, 100:160] = 1.0
    scratch = torch.zeros(1, *image.shape[1:3])
    scratch[:, 300:303, 100:160] = 1
    restored, faces, text = run(nodes["OdekitRestoreFaces"], image, "photo", scratches=scratch)
    assert restored.shape == image.shape and faces.shape == image.shape[:3]
    assert text.startswith("1 face") and "filled" in text
    assert float(restored[:, 300:303, 100:160].mean()) < 0.9
    # Ear to ear, brows to chin: the box that a person drew, where the face was restored.
    if "1 restored" in text:
        assert bool(faces[0, 100:150, 200:250].all()) and float(faces.mean()) < 0.1
    else:
        assert not bool(faces.any())


def test_an_empty_mask_counts_as_none(nodes, exact):
    empty = run(nodes["OdekitRestoreFaces"], batch(1), exact, scratches=torch.zeros(1, 64, 64))[0]
    assert torch.equal(empty, run(nodes["OdekitRestoreFaces"], batch(1), exact)[0])


def test_the_example_workflow_fits_the_nodes(nodes):
    by_id = {node["id"]: node for node in WORKFLOW["nodes"]}
    ours = [node for node in by_id.values() if node["type"].startswith("Odekit")]
    assert len(ours) == 2
    for node in ours:
        schema = nodes[node["type"]].define_schema()
        wired = {slot.id: slot for slot in schema.inputs if slot.kind in ("IMAGE", "MASK", "ODEKIT_CHAIN")}
        assert {slot["name"]: slot["type"] for slot in node["inputs"]} == {id: slot.kind for id, slot in wired.items()}
        assert [slot["type"] for slot in node["outputs"]] == [slot.kind for slot in schema.outputs]
        widgets = [slot for slot in schema.inputs if slot.id not in wired]
        assert len(node["widgets_values"]) == len(widgets) + sum("control_after_generate" in s.facts for s in widgets)
    for number, source, output, target, entry, kind in WORKFLOW["links"]:
        assert number in by_id[source]["outputs"][output]["links"]
        assert by_id[source]["outputs"][output]["type"] == by_id[target]["inputs"][entry]["type"] == kind


def test_the_picture_in_the_docs_is_that_of_the_workflow():
    """Where this fails: python draw_workflow.py ../../docs/comfyui-workflow.png."""
    shown = PIL.Image.open(PACK.parent.parent / "docs" / "comfyui-workflow.png")
    spec = importlib.util.spec_from_file_location("draw_workflow", PACK / "draw_workflow.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawn = script.draw(WORKFLOW)
    assert drawn.size == shown.size
    assert np.abs(np.asarray(drawn, float) - np.asarray(shown.convert("RGB"), float)).mean() < 0.5  # fonts may differ


def test_the_registry_finds_what_it_asks_for():
    about = project(PACK)
    assert "comfyui" not in about["project"]["name"].lower()
    assert about["tool"]["comfy"].keys() >= {"PublisherId", "DisplayName", "requires-comfyui"}
    assert about["project"]["urls"]["Repository"].startswith("https://")
    assert (PACK / "requirements.txt").read_text().split() == about["project"]["dependencies"]
    for path in PACK.glob("odekit_comfyui/*.py"):
        text = path.read_text()
        assert "eval(" not in text and "exec(" not in text and "subprocess" not in text
