"""RSS keys: 40 bytes that decide how the Toeplitz hash spreads flows."""

from __future__ import annotations

import os
import re
from typing import Final

from zcframe.framework import abi
from zcframe.framework.errors import UsageError

from .symmetry import SymmetryProof, prove_symmetry

# The verification key that Microsoft publishes with "Verifying the RSS Hash Calculation".
MICROSOFT_KEY: Final = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")

# 16 bits, repeated: input bits that are a multiple of 16 apart meet the same key bits, and turning a flow round moves
# every bit by 16, 32 or 128. Source: "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling", Woo and
# Park, KAIST 2012.
SYMMETRIC_KEY: Final = bytes.fromhex("6d5a") * (abi.RSS_KEY_SIZE // 2)

NAMED_KEYS: Final = {"microsoft": MICROSOFT_KEY, "symmetric": SYMMETRIC_KEY}


def rss_key(spec: str, option: str = "--rss-key") -> bytes:
    """The key that `spec` names: microsoft, symmetric, random, or 40 bytes in hex (':' or '-' may stand between).

    Raises UsageError for anything else, which names the option.
    """
    if spec in NAMED_KEYS:
        return NAMED_KEYS[spec]
    if spec == "random":
        return os.urandom(abi.RSS_KEY_SIZE)
    wanted = f"use microsoft, symmetric, random or {abi.RSS_KEY_SIZE} bytes in hex"
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2})*", spec):
        raise UsageError(f"{option} {spec!r}: not a key; {wanted}")
    key = bytes.fromhex(spec.replace(":", "").replace("-", ""))
    if len(key) != abi.RSS_KEY_SIZE:
        raise UsageError(f"{option} of {len(key)} bytes; {wanted}")
    return key


def key_name(spec: str) -> str:
    """The name to show for `spec`: microsoft, symmetric, random or hex."""
    return spec if spec in NAMED_KEYS or spec == "random" else "hex"


def is_symmetric(key: bytes, fields: str) -> SymmetryProof:
    """Proof (true or false as a condition) that both directions of every flow hash alike under `key` and `fields`."""
    return prove_symmetry(key, fields)
