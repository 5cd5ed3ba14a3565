"""What all compiled code stands on: the compiler, its private cache, memory access."""
