"""The chain `odedit-exact`: damaged faces that nobody edits come back byte for byte, through the built-in network."""

import numpy as np
import pytest

from benchmarks.damage import damage_in_turn
from odekit import Chain, Image
from odekit.evaluation.experiments.faces import face_set


@pytest.fixture(scope="module")
def faces():
    """Two damaged test faces."""
    return [Image.from_uint8(pixels) for pixels in damage_in_turn(face_set(None, 64).test[:2])]


@pytest.mark.parametrize("solver", ["reversible-heun", "belm"])
def test_damaged_faces_come_back_byte_for_byte(faces, solver):
    settings = [f"restore.inverter.solver={solver}", "restore.inverter.steps=8", "restore.enhancer=none"]
    chain = Chain.load("odedit-exact", settings)
    for face, result in zip(faces, chain.run(faces, device="cpu", precision="float32"), strict=True):
        assert np.array_equal(result.image.to_uint8(), face.to_uint8())
        assert result.record["stages"][0]["calls"] == chain.plan().calls == 15


def test_ddim_does_not_return_them(faces):
    settings = ["restore.inverter.solver=ddim", "restore.inverter.steps=8", "restore.enhancer=none"]
    result = Chain.load("odedit-exact", settings).run(faces[:1], device="cpu", precision="float32")[0]
    assert not np.array_equal(result.image.to_uint8(), faces[0].to_uint8())


def test_shipped_chains_state_their_calls():
    assert Chain.load("odedit-exact").plan().calls == 603  # 2 N - 1, four levels of 100, one call for each edit
    assert Chain.load("odedit-exact", ["restore.enhancer=none"]).plan().calls == 199
    assert Chain.load("code").plan().calls == 903  # 2 N - 1 from the first level, two levels of 4 x (62 + 1)
    assert Chain.load("odedit").plan().calls == 600
