"""Network interfaces as the kernel shows them: state, changes, counters, interrupts, default routes."""
