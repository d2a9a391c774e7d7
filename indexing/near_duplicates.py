"""Finds documents that are nearly the same.

MinHash LSH (Broder 1997; Leskovec et al., "Mining of Massive Datasets", ch. 3) brings candidates,
and the exact Jaccard index of their shingles decides. Whether relatives say the same is another
question, which `wording` answers.

Words are runs of letters, digits and underscores, in lower case. The shingles of a text are its
runs of five words. A text of fewer than 60 words has too few of those to outlive one change, so
it is compared by its single words and pairs.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

NEAR = 0.5
"""The least `similarity` of relatives."""

BANDS, ROWS = 24, 4
_SEED = 1
_LONG, _SHORT = (5,), (1, 2)  # words in a shingle
_LONG_FROM_WORDS = 60
_WORD = re.compile(r"\w+")
_BLOCK = 4_096  # shingles that are permuted at once

_Hashes = npt.NDArray[np.uint64]


def sketch(text: str) -> tuple[int, ...]:
    """MinHash LSH bands, whole numbers of 64 bits with a sign, the same on every machine.

    Texts that share one are candidates; none for a text without a word. With 24 bands of 4 rows,
    a pair of Jaccard index s shares one with probability 1 - (1 - s^4)^24:

        s             .1    .2    .3    .4    .5    .6    .7    .8    .9
        probability  .002  .038  .177  .464  .787  .964  .998    1     1

    A text of 60 to 120 words has 48 bands, since its relatives may be shorter than 60.
    """
    words = _hashed_words(text)
    bands: list[int] = []
    if len(words) >= _LONG_FROM_WORDS:
        bands += _bands(_shingles(words, _LONG))
    if 0 < len(words) < _LONG_FROM_WORDS / NEAR:
        bands += _bands(_shingles(words, _SHORT))
    return tuple(sorted(set(bands)))


def similarity(left: str, right: str) -> float:
    """The Jaccard index of the shingles of two texts, 0 to 1; 1 where neither has a word."""
    words = [_hashed_words(left), _hashed_words(right)]
    sizes = _LONG if min(map(len, words)) >= _LONG_FROM_WORDS else _SHORT
    a, b = (_shingles(one, sizes) for one in words)
    shared = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - shared
    return shared / union if union else 1.0


def _hashed_words(text: str) -> _Hashes:
    words = _WORD.findall(text.lower())
    return np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))


def _shingles(words: _Hashes, sizes: Sequence[int]) -> _Hashes:
    """The distinct shingles of these sizes, as sorted numbers of 64 bits."""
    found = [np.zeros(0, np.uint64)]
    for size in sizes:
        count = max(len(words) - size + 1, 0)
        mixed = np.full(count, size, np.uint64)
        for place in range(size):
            mixed = _mixed(mixed ^ words[place : place + count])
        found.append(mixed)
    return np.unique(np.concatenate(found))


def _mixed(numbers: _Hashes) -> _Hashes:
    """The finaliser of MurmurHash3: every bit of the result depends on every bit given."""
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        numbers = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(multiplier)
    return numbers ^ (numbers >> np.uint64(33))


def _bands(shingles: _Hashes) -> list[int]:
    low = (shingles & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return [
        struct.unpack("<q", hashlib.blake2b(row.tobytes(), digest_size=8).digest())[0]
        for row in _numbered_rows(_smallest(low))
    ]


def _smallest(low: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The least of the hashes under each permutation; a block at a time, lest memory grow."""
    factors, offsets = (column.reshape(-1, 1) for column in _permutations())
    found = np.full((len(factors), 1), np.iinfo(np.uint32).max, np.uint32)
    for first in range(0, len(low), _BLOCK):
        # a * h + b modulo 2^32 with an odd a is a permutation: `affine32` of datasketch 2
        permuted = factors * low[first : first + _BLOCK] + offsets
        found = np.minimum(found, permuted.min(axis=1, keepdims=True))
    return found


def _numbered_rows(smallest: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """A row for each band: its number, so that bands do not mix, and its minima."""
    numbers = np.arange(BANDS).reshape(BANDS, 1)
    return np.hstack([numbers, smallest.reshape(BANDS, ROWS)]).astype("<u4")


@cache
def _permutations() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    chosen = np.random.RandomState(_SEED)  # its stream is frozen, unlike that of a Generator
    count = BANDS * ROWS
    factors = chosen.randint(0, 1 << 31, count, np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, chosen.randint(0, 1 << 32, count, np.uint32)
