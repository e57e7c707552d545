"""The tone of greyscale and toned pictures: measured, told from colour, and kept by every chain."""

import io

import numpy as np
import PIL.Image
import pytest
from photos import PHOTOS

from odekit import Chain, read
from odekit.core.image import Image, Metadata
from odekit.evaluation.experiments.faces import face_set
from odekit.images.colour import luma
from odekit.images.tone import keep_tone, measure_tone
from odekit.parts.repair.colour import load_colour_correction

FACES = face_set(None, 64).test
QUICK = ["restore.inverter.steps=2", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=1"]
CHAINS = {
    "odedit": QUICK,
    "odedit-paper": QUICK,
    "odedit-exact": ["restore.inverter.steps=2"],
    "odedit-fast": ["restore.inverter.steps=4"],
    "odedit-auto": [],
    "odedit-plus": [],
    "blind": ["restore.inverter.steps=4"],
    "code": ["restore.inverter.steps=6", "restore.enhancer.levels=[1]", "restore.enhancer.iterations=4"],
    "sdedit": ["restore.inverter.t0=2"],
}


def face(number=0):
    return Image.from_uint8(FACES[number]).pixels


def grey(pixels):
    return np.repeat(luma(pixels)[None], 3, axis=0)


def sepia(pixels, strength=1.0):
    """A brown print: chroma depends on luma alone."""
    y = luma(pixels)
    return np.stack([y ** (1 - 0.2 * strength), y, y ** (1 + 0.3 * strength)]).astype(np.float32)


def faded(pixels):
    return (0.35 + 0.4 * pixels).astype(np.float32)


def saved(pixels, quality=60, noise=0.0, seed=0):
    """As JPEG, after noise that differs between the channels."""
    noisy = pixels + np.random.default_rng(seed).normal(0, noise or 1e-9, pixels.shape)
    file = io.BytesIO()
    PIL.Image.fromarray(Image(noisy.astype(np.float32)).to_uint8()).save(file, "JPEG", quality=quality)
    return Image.from_uint8(np.asarray(PIL.Image.open(file))).pixels


def large(pixels):
    """At 256 pixels: JPEG at 64 halves the chroma of a face to 32."""
    planes = [np.asarray(PIL.Image.fromarray(p).resize((256, 256), PIL.Image.Resampling.BICUBIC)) for p in pixels]
    return np.clip(np.stack(planes), 0, 1).astype(np.float32)


def chroma(pixels):
    return np.abs(pixels - luma(pixels)[None]).mean()


# --- measured


def test_faces_in_colour_are_not_toned():
    """Three of the 128 test faces are sepia pictures."""
    assert [i for i in range(len(FACES)) if measure_tone(face(i)) is not None] == [104, 110, 119]
    for name in ("astronaut.jpg", "portrait.jpg", "speakers.jpg"):
        assert measure_tone(read(PHOTOS / name).pixels) is None


@pytest.mark.parametrize("fade", [1.0, 0.3, 0.1])
def test_colour_of_little_contrast_is_not_toned(fade):
    assert sum(measure_tone((0.4 + fade * (face(i) - 0.4)).astype(np.float32)) is not None for i in range(64)) == 0


@pytest.mark.parametrize("tone", [grey, sepia, lambda p: faded(grey(p)), lambda p: faded(sepia(p))])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_monochrome_and_toned_faces_are_known_under_jpeg_and_chroma_noise(tone, noise):
    found = [measure_tone(saved(tone(large(face(i))), noise=noise, seed=i)) is not None for i in range(16)]
    assert sum(found) >= 14


def test_a_tone_gives_its_colours_back():
    picture = sepia(face(1))
    tone = measure_tone(picture)
    assert np.abs(tone.apply(picture) - picture).max() < 0.02
    assert np.abs(luma(tone.apply(face(1))) - luma(face(1)))[luma(face(1)) < 0.9].max() < 0.01
    flat = tone.apply(grey(face(1)))
    assert np.abs(flat - picture).mean() < 0.015


def test_a_greyscale_tone_makes_channels_exactly_equal():
    out = measure_tone(grey(face(2))).apply(face(3))
    assert np.array_equal(out[0], out[1]) and np.array_equal(out[0], out[2])


def test_a_flat_picture_has_no_tone_but_grey():
    assert measure_tone(np.full((3, 32, 32), 0.5, np.float32)).chroma is None
    orange = np.broadcast_to(np.array([0.8, 0.5, 0.1], np.float32)[:, None, None], (3, 32, 32)).copy()
    assert measure_tone(orange) is None


# --- kept


def test_pixels_that_a_stage_kept_stay():
    before = Image(saved(sepia(large(face(0)))))
    after = before.pixels.copy()
    after[:, 100:120, 50:60] = np.array([0.3, 0.3, 0.5], np.float32)[:, None, None]  # a crease, filled blue-grey
    out = keep_tone(before, before, before.with_pixels(after)).pixels
    untouched = np.ones((256, 256), bool)
    untouched[100:120, 50:60] = False
    assert np.array_equal(out[:, untouched], before.pixels[:, untouched])
    patch = out[:, 105, 55]
    assert patch[0] > patch[1] > patch[2]
    assert keep_tone(Image(large(face(0))), before, before.with_pixels(after)).pixels is after  # in colour


def test_an_original_that_comes_back_stays():
    source = Image(saved(sepia(large(face(0)))))
    small = Image(np.ascontiguousarray(source.pixels[:, ::4, ::4]))
    assert np.array_equal(keep_tone(source, small, source.with_pixels(source.pixels.copy())).pixels, source.pixels)


@pytest.mark.parametrize("chain", CHAINS)
def test_grey_in_gives_grey_out_in_every_chain(chain):
    pictures = [Image(grey(face(i))) for i in (0, 5)]
    pictures.append(Image(grey(large(face(7))), meta=Metadata(bits=16)))
    for result in Chain.load(chain, CHAINS[chain]).run(pictures):
        r, g, b = result.image.pixels
        assert np.array_equal(r, g) and np.array_equal(r, b)
        assert result.image.pixels.std() > 0.02


@pytest.mark.parametrize("chain", ["odedit-fast", "odedit-plus", "code"])
def test_a_toned_face_keeps_its_tone(chain):
    picture = sepia(face(4))
    tone = measure_tone(picture)
    out = Chain.load(chain, CHAINS[chain]).run([Image(picture)])[0].image.pixels
    assert np.abs(tone.apply(out) - out).mean() < 0.01
    assert chroma(out) > 0.5 * chroma(picture)


def test_a_faded_monochrome_face_gets_no_tint():
    """Near grey: chroma noise only. Without a tone the chain adds the colours of skin."""
    pictures = [Image(saved(faded(grey(large(face(i)))), noise=0.02, seed=i)) for i in range(8)]
    for picture, result in zip(pictures, Chain.load("odedit-plus").run(pictures), strict=True):
        assert chroma(result.image.pixels) < chroma(picture.pixels) + 0.002


def test_samples_of_a_grey_face_are_grey():
    settings = [*CHAINS["odedit-fast"], "restore.samples=2"]
    extras = dict(Chain.load("odedit-fast", settings).run([Image(grey(face(0)))])[0].extras)
    r, g, b = extras["sample2"].pixels
    assert np.array_equal(r, g) and np.array_equal(r, b)


@pytest.mark.long
def test_a_grey_photograph_stays_grey_and_a_toned_one_toned():
    photo = read(PHOTOS / "astronaut.jpg").pixels
    for hurt in (grey(photo), sepia(photo)):
        noisy = np.clip(hurt + np.random.default_rng(0).normal(0, 0.1, (1, *hurt.shape[1:])), 0, 1).astype(np.float32)
        out = Chain.load("photo").run([Image(noisy)])[0].image.pixels
        assert np.abs(measure_tone(hurt).apply(out) - out).mean() < 0.012
        if hurt[0, 0, 0] == hurt[1, 0, 0]:
            assert np.array_equal(out[0], out[1]) and np.array_equal(out[0], out[2])


# --- colour: undo


@pytest.mark.parametrize("tone", [grey, sepia, lambda p: faded(grey(p)), lambda p: faded(sepia(p))])
def test_monochrome_and_toned_faces_are_not_damaged_colours(tone):
    correction = load_colour_correction()
    for i in range(16):
        picture = Image(tone(face(i)))
        same, facts = correction.correct(picture)
        assert same is picture and facts["damaged"] is False and facts["toned"] is True
