"""The base of all compiled code: the compiler, its private cache, memory access."""
