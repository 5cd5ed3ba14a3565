"""Receive-side scaling as the 82576 does it: Toeplitz hash, keys, redirection table.

`toeplitz` and `predict` hold compiled code and bring numba in: import them only where packets are at hand.
"""

from .config import RssConfig
from .fields import FIELD_IP, FIELD_TCP, FIELD_UDP, TYPE_NAMES, field_mask
from .keys import MICROSOFT_KEY, SYMMETRIC_KEY, is_symmetric, rss_key
from .reta import default_reta
from .symmetry import SymmetryProof

__all__ = [
    "FIELD_IP",
    "FIELD_TCP",
    "FIELD_UDP",
    "MICROSOFT_KEY",
    "SYMMETRIC_KEY",
    "TYPE_NAMES",
    "RssConfig",
    "SymmetryProof",
    "default_reta",
    "field_mask",
    "is_symmetric",
    "rss_key",
]
