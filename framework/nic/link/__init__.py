"""Network interfaces as the kernel shows them: state, news, interrupts, default routes."""
