"""Images: values, shapes, and the fingerprint that keys the noise."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odekit.core.image import Image, Metadata, fingerprint, quantise

EIGHT = np.arange(256, dtype=np.uint8)
SIXTEEN = np.arange(65536, dtype=np.uint16)


def picture(seed=0, height=5, width=7):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_uint8_survives_the_way_in_and_out(array):
    assert np.array_equal(Image.from_uint8(array).to_uint8(), array)


def test_channels_come_first_and_white_is_one():
    image = Image.from_uint8(np.array([[[255, 0, 51]]], np.uint8))
    assert image.pixels.dtype == np.float32
    assert image.pixels[:, 0, 0] == pytest.approx([1.0, 0.0, 0.2])
    assert (image.height, image.width) == (1, 1)


def test_grey_arrays_fill_three_equal_channels():
    image = Image.from_uint8(picture()[..., 0])
    assert np.array_equal(image.to_uint8(), np.repeat(picture()[..., :1], 3, axis=2))


def test_every_integer_of_both_depths_survives_float32():
    assert np.array_equal(quantise(EIGHT / np.float32(255), 8), EIGHT)
    assert np.array_equal(quantise(SIXTEEN / np.float32(65535), 16), SIXTEEN)


def test_quantise_clips_and_rounds_to_nearest():
    values = np.array([-3.0, 0.49 / 255, 0.51 / 255, 1.0, 7.0], np.float32)
    assert quantise(values, 8).tolist() == [0, 0, 1, 255, 255]
    assert quantise(values, 8).dtype == np.uint8
    assert quantise(values, 16).dtype == np.uint16


@pytest.mark.parametrize("bits", [8, 16])
def test_values_that_are_no_numbers_give_no_warning_of_numpy(bits, recwarn):
    quantise(np.full((3, 2, 2), np.nan, np.float32), bits)
    assert not recwarn.list


def test_quantise_keeps_shape_and_order_beyond_one_block_and_in_views():
    values = np.random.default_rng(1).random((2, 700, 900), dtype=np.float32)  # more than a block of 2^20
    expected = np.rint(values.astype(np.float64) * 65535)
    assert np.array_equal(quantise(values, 16), expected)
    assert np.array_equal(quantise(values[:, ::-1].swapaxes(1, 2), 16), expected[:, ::-1].swapaxes(1, 2))


def test_the_fingerprint_is_that_of_the_16_bit_numbers():
    numbers = np.full((3, 2, 2), 257, "<u2")
    expected = hashlib.sha256(b"(3, 2, 2)" + numbers.tobytes()).hexdigest()
    assert fingerprint(np.full((3, 2, 2), 1 / 255, np.float32)) == expected


def test_an_8_bit_picture_and_its_16_bit_copy_are_the_same_picture():
    eight = picture().transpose(2, 0, 1)
    copy = eight.astype(np.uint16) * 257
    assert fingerprint(eight / np.float32(255)) == fingerprint(copy / np.float32(65535))


def test_one_changed_value_or_another_shape_is_another_picture():
    image = Image.from_uint8(picture())
    changed = picture()
    changed[0, 0, 0] ^= 1
    assert Image.from_uint8(changed).origin != image.origin
    assert Image(image.pixels.reshape(3, 7, 5)).origin != image.origin


def test_the_origin_stays_while_stages_change_the_pixels():
    image = Image.from_uint8(picture())
    assert image.with_pixels(image.pixels * 0.5).origin == image.origin == fingerprint(image.pixels)


def test_alpha_goes_when_the_size_changes():
    alpha = np.ones((5, 7), np.float32)
    image = Image(Image.from_uint8(picture()).pixels, alpha, Metadata(format="PNG"))
    assert image.with_pixels(image.pixels * 0).alpha is alpha
    assert image.with_pixels(np.zeros((3, 10, 14), np.float32)).alpha is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 4, 4)),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((3, 4), np.float32),
        np.zeros((3, 0, 4), np.float32),
    ],
    ids=["float64", "channels last", "no width", "empty"],
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match=r"float32 \(3, H, W\)"):
        Image(pixels)


def test_an_alpha_of_another_size_is_refused():
    with pytest.raises(ValueError, match="alpha"):
        Image(np.zeros((3, 4, 4), np.float32), np.zeros((4, 5), np.float32))


def test_the_text_of_an_image_has_its_size_and_range_and_no_pixels():
    pixels = np.linspace(0.25, 0.75, 3 * 40 * 64, dtype=np.float32).reshape(3, 40, 64)
    image = Image(pixels, alpha=np.ones((40, 64), np.float32), face=2)
    assert repr(image) == "Image(width=64, height=40, values=0.25..0.75, alpha, face=2)"
    assert len(repr([image] * 3)) < 300
