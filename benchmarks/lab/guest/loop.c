// SPDX-License-Identifier: GPL-2.0
/* loop N: 2 N instructions, and few more: what a counter of instructions is checked by. */
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;

	if (!rounds)
		return 2;
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
	return 0;
}
