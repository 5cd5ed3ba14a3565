"""LLVM code of the instructions that compiled functions are made of; brings numba in."""
