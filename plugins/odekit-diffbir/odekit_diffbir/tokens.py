"""Tokenises prompts with OpenAI's byte-pair vocabulary for CLIP (MIT), which is part of the plugin."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = Path(__file__).parent / "assets" / "bpe_simple_vocab_16e6.txt.gz"
MERGES = 49152 - 256 - 2
LENGTH = 77
START, END = 49406, 49407


def tokens(prompt: str) -> list[int]:
    """77 token numbers: start, the prompt's tokens, end, zeros. Longer prompts are truncated, as in OpenCLIP."""
    inner = tokenizer().encode(prompt).ids[: LENGTH - 2] if prompt.strip() else []
    return [START, *inner, END, *[0] * (LENGTH - 2 - len(inner))]


@functools.cache
def tokenizer() -> Tokenizer:
    """The byte-level BPE tokeniser: lower case, words end in `</w>`."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    lines = gzip.decompress(VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    pairs = (line.split() for line in lines[1 : MERGES + 1])
    merges = [(left, right) for left, right in pairs]
    letters = byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    bpe = Tokenizer(BPE({word: i for i, word in enumerate(words)}, merges, end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pieces = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return bpe


def byte_letters() -> list[str]:
    """The 256 letters of byte-level BPE in the vocabulary's order: printable bytes, then the others from U+0100."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
