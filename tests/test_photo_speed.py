"""What makes `photo` fast changes no result: threads, bands, shared transforms, and what is not copied or imported."""

import subprocess
import sys

import numpy as np
import pytest

from odekit.core import threads
from odekit.core.image import Image, Metadata
from odekit.core.threads import in_threads
from odekit.images.resize import block_means
from odekit.images.tone import is_grey
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.warp import crop_face
from odekit.parts.repair.dct import SIDE, dct_matrix, transform
from odekit.parts.repair.denoise import remove_noise
from odekit.parts.repair.noise_level import NoiseLevel
from odekit.parts.repair.occlusion import constant_saturated
from odekit.parts.repair.shrink import STEP, THRESHOLD, shrink


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    return rng.random((3, 331, 403), np.float32)


def test_results_come_in_order_and_errors_are_raised(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    assert in_threads(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda n: 1 / n, [1, 2, 0])


@pytest.mark.parametrize("count", [2, 3])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, photo, count):
    def results():
        monkeypatch.setattr("odekit.parts.repair.denoise.TILE", 128)
        crop = crop_face(photo, Frame(350, 60, 20, -10), 150)
        return block_means(photo, 7), crop, remove_noise(Image(photo), NoiseLevel(0.1))

    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    one = results()
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    for a, b in zip(one, results(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("factor", [2, 3, 50, 400])
def test_block_means_in_bands_are_those_of_the_whole(photo, factor):
    height, width = photo.shape[1:]
    padded = np.pad(photo, ((0, 0), (0, -height % factor), (0, -width % factor)), mode="edge")
    shape = (3, padded.shape[1] // factor, factor, padded.shape[2] // factor, factor)
    np.testing.assert_allclose(block_means(photo, factor), padded.reshape(shape).mean((2, 4)), atol=1e-5)


def test_shrinkage_is_that_of_each_block_on_its_own():
    """The definition, block by block: threshold, then Wiener gains; weights are the inverse of the noise that is left."""
    rng = np.random.default_rng(1)
    plane = (0.5 + 0.3 * np.sin(np.arange(40) / 5)[:, None] + rng.normal(0, 0.1, (40, 52))).astype(np.float32)
    noise = (0.1 * np.exp(-np.hypot(*np.mgrid[:SIDE, :SIDE]) / 20)).astype(np.float32)
    padded = np.pad(plane, [(SIDE, SIDE + -n % SIDE) for n in plane.shape], mode="symmetric")
    matrix, estimate = dct_matrix(), None
    for _ in range(2):
        total, weights = 1e-6 * padded, np.full_like(padded, 1e-6)
        for top in range(0, padded.shape[0] - SIDE + 1, STEP):
            for left in range(0, padded.shape[1] - SIDE + 1, STEP):
                place = (slice(top, top + SIDE), slice(left, left + SIDE))
                block = transform(padded[place][None], matrix)[0]
                if estimate is None:
                    gain = (np.abs(block) > THRESHOLD * noise).astype(np.float32)
                else:
                    power = transform(estimate[place][None], matrix)[0] ** 2
                    gain = power / (power + noise**2)
                gain[0, 0] = 1
                weight = 1 / (gain**2 * noise**2).mean()
                total[place] += weight * transform((gain * block)[None], matrix.T)[0]
                weights[place] += weight
        estimate = total / weights
    np.testing.assert_allclose(shrink(plane, noise), estimate[SIDE : SIDE + 40, SIDE : SIDE + 52], atol=1e-5)


def test_a_picture_that_is_coloured_in_one_pixel_is_not_grey(photo):
    grey = np.repeat(photo[:1], 3, axis=0)
    assert is_grey(grey)
    grey[1, 5, 7] += 0.01  # beside the sampled pixels
    assert not is_grey(grey)


def test_saturated_constant_places_are_those_of_scipy(photo):
    from scipy.ndimage import maximum_filter, minimum_filter

    photo[:, 50:90, 60:100] = 1.0
    photo[:, :9, :] = 0.0
    spread = maximum_filter(photo, (1, 3, 3), mode="nearest") - minimum_filter(photo, (1, 3, 3), mode="nearest")
    found = constant_saturated(photo)
    np.testing.assert_array_equal(found, (spread == 0).all(0) & ((photo == 0) | (photo == 1)).all(0))
    assert found.sum() > 1000


def test_a_session_of_photo_does_not_import_torchs_compiler():
    code = (
        "import sys; from odekit.chains.chain import Chain; Chain.load('photo').open(device='cpu', precision='float32');"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_grey_noise_is_removed_from_a_grey_photograph(photo):
    grey = Image(np.repeat(photo[:1], 3, axis=0), meta=Metadata(grey=True))
    out = remove_noise(grey, NoiseLevel(0.2))
    assert np.array_equal(out[0], out[1]) and np.array_equal(out[1], out[2])
