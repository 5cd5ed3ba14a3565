"""Which of N readers a packet goes to: rules of sharing, and the table from hash to share.

`choose` holds compiled code and brings numba in: import it only where packets are at hand.
"""

from .shares import MAX_SHARES, RULES, Shares
from .table import BUCKETS, NOBODY, share_table

__all__ = ["BUCKETS", "MAX_SHARES", "NOBODY", "RULES", "Shares", "share_table"]
