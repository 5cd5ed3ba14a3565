"""eBPF: instructions, and the system call that loads them, for sources whose program the kernel runs a frame."""
