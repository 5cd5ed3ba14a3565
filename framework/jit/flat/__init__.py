"""Compiled functions as plain machine code: a process that calls them needs neither numba nor LLVM."""
