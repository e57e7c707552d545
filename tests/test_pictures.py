"""Pictures go in as programs hold them, and come out as programs want them."""

import io

import numpy as np
import PIL.Image
import pytest
import torch
from conftest import EXACT, picture
from PIL import ImageCms

import odekit
from odekit.chains.document import parse_yaml
from odekit.errors import InputError

ARRAY = picture(3, 8, 8)
FLOATS = ARRAY.astype(np.float32) / 255


@pytest.fixture(scope="module")
def chain():
    return odekit.Chain.from_document(parse_yaml(EXACT, "exact"))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "face.png"
    PIL.Image.fromarray(ARRAY).save(path)
    return path


def kinds(file):
    """The same picture in every form that is taken."""
    yield "path", file
    yield "text", str(file)
    yield "bytes", file.read_bytes()
    yield "image", odekit.read(file)
    yield "pillow", PIL.Image.open(file)
    yield "uint8", ARRAY
    yield "uint16", ARRAY.astype(np.uint16) * 257
    yield "float32", FLOATS
    yield "float64", ARRAY / 255
    yield "tensor", torch.from_numpy(FLOATS).permute(2, 0, 1)
    yield "uint8 tensor", torch.from_numpy(ARRAY).permute(2, 0, 1)
    yield "gradient", torch.from_numpy(FLOATS).permute(2, 0, 1).requires_grad_()


def test_every_form_of_a_picture_is_the_same_image_with_the_same_noise(file):
    expected = odekit.read(file)
    for name, form in kinds(file):
        image = odekit.as_image(form)
        assert np.abs(image.pixels - expected.pixels).max() < 1e-7, name
        assert image.origin == expected.origin, name


def test_a_chain_takes_each_form_alone_and_all_of_them_in_a_list(chain, file):
    forms = [form for _, form in kinds(file)]
    whole = chain.run(forms, batch_size=1)
    alone = chain.run(forms[0], batch_size=1)
    assert isinstance(whole, list) and isinstance(alone, odekit.Result)
    for result in whole:
        assert np.array_equal(result.to_numpy(), alone.to_numpy())


def test_restore_takes_a_list_and_gives_one_image_for_each():
    faces = [picture(1, 64, 64), torch.rand(3, 64, 64)]
    first, second = odekit.restore(faces, strength="none")
    assert isinstance(first, odekit.Image) and (first.width, second.width) == (256, 256)
    alone = odekit.restore(faces[0], strength="none")
    assert np.abs(alone.pixels - first.pixels).max() < 1e-4
    assert odekit.restore([]) == []


def test_grey_and_alpha_are_kept():
    grey = odekit.as_image(ARRAY[..., 0])
    assert grey.meta.grey and np.array_equal(grey.to_numpy(), np.repeat(ARRAY[..., :1], 3, 2))
    assert np.array_equal(odekit.as_image(torch.from_numpy(ARRAY[..., 0])).pixels, grey.pixels)
    assert np.array_equal(odekit.as_image(PIL.Image.fromarray(ARRAY[..., 0])).pixels, grey.pixels)
    rgba = np.dstack([ARRAY, ARRAY[..., 0]])
    for form in (rgba, PIL.Image.fromarray(rgba), torch.from_numpy(rgba).permute(2, 0, 1)):
        image = odekit.as_image(form)
        assert np.array_equal(image.to_numpy(), rgba) and image.to_pil().mode == "RGBA"


def test_sixteen_bits_stay_sixteen():
    deep = np.arange(192, dtype=np.uint16).reshape(8, 8, 3) * 300
    image = odekit.as_image(deep)
    assert image.meta.bits == 16 and np.array_equal(image.to_numpy(np.uint16), deep)
    grey = odekit.as_image(PIL.Image.fromarray(deep[..., 0]))
    assert grey.meta.bits == 16 and np.array_equal(grey.to_numpy(np.uint16)[..., 0], deep[..., 0])


def test_a_pillow_picture_is_turned_and_its_profile_is_followed(file):
    form = PIL.Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    form.getexif()[0x0112] = 6  # a quarter turn
    assert (odekit.as_image(form).width, odekit.as_image(form).height) == (4, 6)
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"____"), (b"bXYZ", b"rXYZ"), (b"____", b"bXYZ")):
        swapped = swapped.replace(old, new)
    coloured = io.BytesIO()
    PIL.Image.fromarray(ARRAY).save(coloured, "PNG", icc_profile=swapped)
    image = odekit.as_image(PIL.Image.open(coloured))
    assert np.array_equal(image.pixels, odekit.as_image(coloured.getvalue()).pixels)
    assert np.abs(image.to_numpy().astype(int) - ARRAY[..., ::-1]).max() <= 1, "red and blue are exchanged"


def test_an_image_of_an_image_is_itself(file):
    image = odekit.read(file)
    assert odekit.as_image(image) is image


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (np.zeros((3, 5, 7), np.uint8), r"shape \(H, W, 3\), not \(3, 5, 7\); array.transpose\(1, 2, 0\)"),
        (np.zeros((2, 5, 7, 3), np.uint8), r"pass list\(array\) for a batch"),
        (torch.zeros(2, 3, 5, 7), r"not \(2, 3, 5, 7\); pass list\(tensor\)"),
        (torch.zeros(5, 7, 3), r"shape \(3, H, W\), not \(5, 7, 3\)"),
        (np.zeros((0, 7, 3), np.uint8), r"not \(0, 7, 3\)"),
        (np.zeros(7, np.uint8), r"not \(7,\)"),
        (np.zeros((5, 7, 3), np.int64), "uint8, uint16 or floats in .0, 1., not int64"),
        (np.full((5, 7, 3), 255.0), "not 255 to 255; divide by 255"),
        (np.linspace(-1, 1, 105).reshape(5, 7, 3), r"\(x \+ 1\) / 2 converts from \[-1, 1\]"),
        (np.full((5, 7, 3), np.nan), "in .0, 1., not nan to nan"),
        (3, "a numpy array, a torch tensor or a Pillow picture, not int"),
        (None, "not NoneType"),
        (b"no picture", "the bytes: "),
        (PIL.Image.new("F", (4, 4)), "the Pillow picture holds colours as F"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(chain, form, said):
    for take in (odekit.as_image, odekit.restore, chain.run):
        with pytest.raises(InputError, match=said) as caught:
            take(form)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="picture 1: .*" + said):
        chain.run([ARRAY, form])


def test_results_leave_as_programs_want_them(chain):
    result = chain.run(ARRAY)
    array, tensor, pillow = result.to_numpy(), result.to_tensor(), result.to_pil()
    assert array.dtype == np.uint8 and array.shape == (8, 8, 3)
    assert tensor.dtype == torch.float32 and tensor.shape == (3, 8, 8)
    assert np.array_equal(np.asarray(pillow), array) and np.array_equal(np.asarray(result), array)
    assert np.array_equal(np.asarray(result.image), array)
    assert np.array_equal(result.to_numpy(np.float32).transpose(2, 0, 1), tensor.numpy())
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(result._repr_png_()))), array)
    assert np.array_equal(np.asarray(result, dtype=np.uint16), result.to_numpy(np.uint16))
    tensor += 1
    assert result.image.pixels.max() <= 1, "the tensor is a copy"
    with pytest.raises(ValueError, match="uint8, uint16 or floats, not int32"):
        result.to_numpy(np.int32)


def test_a_result_says_in_one_line_what_happened(chain):
    done, failed = chain.run([ARRAY, picture(0, 8, 20)])
    assert repr(done) == "Result(8 x 8 -> 8 x 8, 28 network calls)"
    assert repr(failed).startswith("Result(20 x 8, failed: ") and len(repr(failed)) < 260
    assert failed._repr_png_() is None
    with pytest.raises(InputError):
        failed.to_pil()


def test_a_result_is_a_picture_for_the_next_chain_and_for_writing(chain, tmp_path):
    done, failed = chain.run([ARRAY, picture(0, 8, 20)])
    assert np.array_equal(chain.run(done).to_numpy(), chain.run(done.image).to_numpy())
    assert np.array_equal(odekit.read(odekit.write(done, tmp_path / "a.png")).to_uint8(), done.to_numpy())
    for take in (chain.run, lambda result: odekit.write(result, tmp_path / "b.png")):
        with pytest.raises(InputError, match="20x8 is not an aligned square face"):
            take(failed)


def test_only_images_and_results_are_written(tmp_path):
    with pytest.raises(InputError, match=r"an Image or a Result is written, not ndarray; odekit.as_image converts it"):
        odekit.write(ARRAY, tmp_path / "a.png")


@pytest.mark.parametrize(("ending", "format"), [("jpg", "JPEG"), ("webp", "WEBP"), ("tif", "TIFF"), ("png", "PNG")])
def test_the_ending_names_the_format_whatever_the_source_was(file, tmp_path, ending, format):
    path = odekit.write(odekit.read(file), tmp_path / f"a.{ending}")
    assert path.name == f"a.{ending}" and PIL.Image.open(path).format == format


def test_an_array_that_must_not_be_a_copy_is_refused(chain):
    with pytest.raises(ValueError, match="is a copy"):
        chain.run(ARRAY).__array__(copy=False)
