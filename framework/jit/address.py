"""Loads and stores at plain addresses, for compiled code only.

Rings, blocks and shared state are mapped memory that other processes change. With numba's arrays, LLVM could hoist such
loads out of a loop. Every address is an int64, and so is every value that is returned (a 64-bit pattern may be
negative): no expression mixes int64 with uint64, which numba would turn into float64.

Ordering: `acquire_*` and `release_*` are one plain mov on x86-64 and ldar/stlr on AArch64. `full_fence` orders a store
before a later load. `order_stores` costs nothing: it only keeps LLVM from moving stores across it, which is all that is
needed between a thread and its successor after a kill.

Here are their names. What they do is said where LLVM's code for them is written (emit/address.py).
"""

from __future__ import annotations

from .instruction import Instruction

load_u8 = Instruction("load_u8")
load_u16 = Instruction("load_u16")
load_u32 = Instruction("load_u32")
load_u64 = Instruction("load_u64")
load_be16 = Instruction("load_be16")
load_be32 = Instruction("load_be32")
load_be64 = Instruction("load_be64")
acquire_u32 = Instruction("acquire_u32")
acquire_u64 = Instruction("acquire_u64")
store_u8 = Instruction("store_u8")
store_u16 = Instruction("store_u16")
store_u32 = Instruction("store_u32")
store_u64 = Instruction("store_u64")
release_u32 = Instruction("release_u32")
release_u64 = Instruction("release_u64")
rx_load_u8 = Instruction("rx_load_u8")
rx_load_u16 = Instruction("rx_load_u16")
rx_load_u32 = Instruction("rx_load_u32")
rx_load_u64 = Instruction("rx_load_u64")
rx_load_be16 = Instruction("rx_load_be16")
rx_load_be32 = Instruction("rx_load_be32")
rx_load_be64 = Instruction("rx_load_be64")
state_load_u8 = Instruction("state_load_u8")
state_load_u16 = Instruction("state_load_u16")
state_load_u32 = Instruction("state_load_u32")
state_load_u64 = Instruction("state_load_u64")
state_store_u8 = Instruction("state_store_u8")
state_store_u16 = Instruction("state_store_u16")
state_store_u32 = Instruction("state_store_u32")
state_store_u64 = Instruction("state_store_u64")
state_load_be64 = Instruction("state_load_be64")
state_store_be64 = Instruction("state_store_be64")
journal_load_u64 = Instruction("journal_load_u64")
journal_store_u64 = Instruction("journal_store_u64")
work_load_u64 = Instruction("work_load_u64")
work_store_u8 = Instruction("work_store_u8")
work_store_u16 = Instruction("work_store_u16")
work_store_u32 = Instruction("work_store_u32")
work_store_u64 = Instruction("work_store_u64")
notify_u32 = Instruction("notify_u32")
exchange_u32 = Instruction("exchange_u32")
full_fence = Instruction("full_fence")
order_stores = Instruction("order_stores")
prefetch_read = Instruction("prefetch_read")
prefetch_write = Instruction("prefetch_write")
copy_bytes = Instruction("copy_bytes")
move_bytes = Instruction("move_bytes")
clear_bytes = Instruction("clear_bytes")
add_floats = Instruction("add_floats")
keep = Instruction("keep")
mul_high = Instruction("mul_high")
shift_right = Instruction("shift_right")
swap_bytes = Instruction("swap_bytes")
count_ones = Instruction("count_ones")
lowest_one = Instruction("lowest_one")
without_lowest_one = Instruction("without_lowest_one")
seldom = Instruction("seldom")
known = Instruction("known")
below = Instruction("below")
