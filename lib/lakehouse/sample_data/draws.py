"""Chance without a generator's state: every draw is a function of its key and its index, so any part can be made alone."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def key_of(*parts: object) -> int:
    """64 bits that name one stream of draws: the seed, what is drawn, the day."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def draws(key: int, index: Ints) -> NDArray[np.uint64]:
    """64 random bits per index: splitmix64 (Steele, Lea, Flood 2014) at position `index` of the key's stream."""
    mixed = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def uniform(key: int, index: Ints) -> NDArray[np.float64]:
    """A number in [0, 1) per index."""
    return (draws(key, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(key: int, index: Ints, limit: int | Ints) -> Ints:
    """A whole number in [0, limit) per index."""
    return (uniform(key, index) * limit).astype(np.int64)


def happens(key: int, index: Ints, share: float | NDArray[np.float64]) -> Mask:
    """True for about `share` of the indexes."""
    chosen: Mask = uniform(key, index) < share
    return chosen


def ranks(key: int, index: Ints, size: int) -> Ints:
    """Each index's place in a shuffle of 0..size-1: no two share one, so the first k places are k indexes exactly."""
    step = size // 3 + key % (size // 3 + 1) + 1
    while math.gcd(step, size) != 1:
        step += 1
    return (index * step + key // 2**32) % size


def shuffled(key: int, size: int) -> Ints:
    """0..size-1 out of order."""
    return ranks(key, np.arange(size, dtype=np.int64), size)
