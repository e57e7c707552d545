"""Prompts: tokens equal to OpenCLIP's, the encoder against torch's attention, the cache."""

import hashlib

import pytest
import torch
from odekit_diffbir import prompt
from odekit_diffbir.options import NEGATIVE
from odekit_diffbir.tokens import END, START, VOCABULARY, tokens
from torch import nn

from odekit.errors import WeightsError

OPEN_CLIP = {
    "": [],
    NEGATIVE: [1042, 3027, 267, 21977, 267, 1042, 268, 9977, 267, 33495, 267, 569, 8157, 267, 5613, 28063],
    "A cat's café №5, we'll see 日本語 😀": [
        320,
        2368,
        568,
        15304,
        8604,
        500,
        276,
        267,
        649,
        1342,
        862,
        39121,
        44353,
        34002,
        508,
        7334,
    ],
}
"""Tokens between start and end, by open_clip_torch 3.3."""


@pytest.mark.parametrize("text", list(OPEN_CLIP))
def test_tokens_are_those_of_openclip(text):
    inner = OPEN_CLIP[text]
    assert tokens(text) == [START, *inner, END, *[0] * (75 - len(inner))]


def test_case_and_spaces_do_not_matter_and_long_prompts_are_cut():
    assert tokens("A  Photo\n of a CAT") == tokens("a photo of a cat")
    assert tokens("cat " * 100)[-1] == END and len(tokens("cat " * 100)) == 77


def test_the_vocabulary_is_openai_s():
    digest = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
    assert hashlib.sha256(VOCABULARY.read_bytes()).hexdigest() == digest


def reference(tensors, text):
    """OpenCLIP's text transformer up to the penultimate block, from torch's own layers (pre-norm, causal, GELU)."""
    width = tensors["ln_final.weight"].shape[0]
    x = tensors["token_embedding.weight"][torch.tensor([tokens(text)])] + tensors["positional_embedding"]
    causal = torch.full((77, 77), float("-inf")).triu(1)
    blocks = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("transformer."))

    def norm(x, name):
        return nn.functional.layer_norm(x, (width,), tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-5)

    for i in range(blocks - 1):
        place = f"transformer.resblocks.{i}"
        attention = nn.MultiheadAttention(width, width // 64, batch_first=True)
        start = f"{place}.attn."
        attention.load_state_dict({n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)})
        h = norm(x, f"{place}.ln_1")
        x = x + attention(h, h, h, need_weights=False, attn_mask=causal)[0]
        h = norm(x, f"{place}.ln_2") @ tensors[f"{place}.mlp.c_fc.weight"].T + tensors[f"{place}.mlp.c_fc.bias"]
        x = x + nn.functional.gelu(h) @ tensors[f"{place}.mlp.c_proj.weight"].T + tensors[f"{place}.mlp.c_proj.bias"]
    return norm(x, "ln_final")[0]


def test_the_encoder_stops_before_its_last_block_and_normalises(parts):
    tensors = parts["text"]()
    encoder = prompt.load({f"cond_stage_model.model.{name}": t for name, t in tensors.items()}, "file")
    for text in ("", "a cat, blurry"):
        truth = reference(tensors, text).detach()
        assert (prompt.encode(encoder, text) - truth).abs().max() <= 1e-5 * truth.abs().max()


def test_an_embedding_is_made_once_and_kept_by_prompt_and_weights(parts, tmp_path):
    reads = []

    def read():
        reads.append(1)
        return parts["text"]()

    first = prompt.embeddings(["", "a cat"], read, "digest-1", tmp_path, "file")
    again = prompt.embeddings(["", "a cat"], read, "digest-1", tmp_path, "file")
    assert len(reads) == 1 and all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(*first) and first[0].shape == (77, 64)
    prompt.embeddings([""], read, "digest-2", tmp_path, "file")
    assert len(reads) == 2 and len(list(tmp_path.iterdir())) == 3


def test_a_damaged_cache_file_is_made_again(parts, tmp_path):
    (first,) = prompt.embeddings([""], parts["text"], "digest", tmp_path, "file")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    (again,) = prompt.embeddings([""], parts["text"], "digest", tmp_path, "file")
    assert torch.equal(first, again)


def test_a_file_without_a_text_encoder_is_refused(parts, tmp_path):
    with pytest.raises(
        WeightsError, match=r"file: does not contain the OpenCLIP text encoder; these are weights of a ControlNet"
    ):
        prompt.embeddings([""], parts["controlnet"], "digest", tmp_path, "file")
    broken = {name: t for name, t in parts["text"]().items() if not name.startswith("ln_final")}
    with pytest.raises(WeightsError, match=r"missing tensors \(first final_layer_norm"):
        prompt.load(broken, "file")
