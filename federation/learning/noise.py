"""Randomness that nobody can replay: AES-CTR keystreams, and Gaussian noise drawn from one.

A key comes from the operating system and is never stored, logged or configured. Sampling and
noise use two streams, so that neither says anything about the other.
"""

import math
import os

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BLOCK = 1 << 20
_AHEAD = 1 << 12
_ROOT_OF_TWO = math.sqrt(2)


class Keystream:
    """AES-256 in counter mode over zeros (NIST SP 800-38A), keyed by `os.urandom`."""

    def __init__(self) -> None:
        # A fresh key for each stream makes a fixed initial counter safe.
        self._cipher = Cipher(algorithms.AES256(os.urandom(32)), modes.CTR(bytes(16))).encryptor()
        self._ahead = np.empty(0, dtype=np.uint64)

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` words of 64 uniform bits."""
        if count > len(self._ahead):
            # Many at once: most calls want few, and cost more than their words.
            more = max(count - len(self._ahead), _AHEAD)
            made = np.frombuffer(self._cipher.update(bytes(8 * more)), dtype=np.uint64)
            self._ahead = np.concatenate([self._ahead, made]) if len(self._ahead) else made
        found, self._ahead = self._ahead[:count], self._ahead[count:]
        return found

    def one(self) -> float:
        """The next number of `uniform`."""
        return ((int(self.words(1)[0]) >> 12) + 0.5) * 2.0**-52

    def uniform(self, count: int) -> Floats:
        """The next `count` numbers in the open interval (0, 1), each of 52 bits."""
        # One bit more and the largest would round to 1, whose inversion is infinite.
        return ((self.words(count) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def gaussian(stream: Keystream, count: int, deviation: float = 1.0) -> Floats:
    """`count` normal draws of mean 0 by inversion, each from 52 uniform bits.

    This is the grade "float noise, CSPRNG": the key is secret, but floating point can only take
    some values (Mironov 2012), which the hardened grade avoids and this one does not.
    """
    parts = [
        _inverted(stream.words(min(_BLOCK, count - start)), deviation)
        for start in range(0, count, _BLOCK)
    ]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0)


def _inverted(words: NDArray[np.uint64], deviation: float) -> Floats:
    """Normal quantiles of uniform odd numbers of 53 bits and a sign, over 2⁵²: never ±1, exact."""
    odd = words.view(np.int64) >> 11
    odd |= 1
    between = odd.astype(np.float64)
    between *= 2.0**-52
    found: Floats = torch.from_numpy(between).erfinv_().mul_(_ROOT_OF_TWO * deviation).numpy()
    return found
