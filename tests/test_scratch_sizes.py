"""The scratch detector sees a photograph at its size and at half of it."""

import numpy as np
import pytest

from odekit.parts.repair import scratches
from odekit.testing import StandaloneTools


@pytest.mark.parametrize("shape", [(3, 64, 96), (3, 63, 81)])
def test_the_logit_is_that_of_both_sizes(monkeypatch, shape):
    """A network that says 2 of anything larger than 50 pixels and -1 of the rest."""
    detector = scratches.ScratchDetector("mend", StandaloneTools())
    seen = []

    def answer(pixels):
        seen.append(pixels.shape)
        return np.full(pixels.shape[1:], 2.0 if max(pixels.shape) > 50 else -1.0, np.float32)

    monkeypatch.setattr(scratches, "apply_in_tiles", lambda call, pixels, *_, channels: answer(pixels)[None])
    logit = detector.detect(np.zeros(shape, np.float32))
    assert logit.shape == shape[1:]
    assert seen == [shape, (3, -(-shape[1] // 2), -(-shape[2] // 2))]
    assert np.allclose(logit, 2 * (1 - scratches.HALF_SHARE) - scratches.HALF_SHARE)
