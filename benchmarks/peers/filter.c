// SPDX-License-Identifier: GPL-2.0
/*
 * libpcap's interpreter of tcpdump expressions, in a loop over frames where the
 * NIC put them: 2 KiB blocks, each with its 32-byte descriptor.
 *
 * A shared library for ctypes; run() returns how many frames match.
 */
#include <pcap/pcap.h>

#include <linux/pf_zerocopy.h>

uint64_t run(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n, const struct bpf_insn *program)
{
	uint64_t matched = 0;

	for (uint32_t i = 0; i < n; i++)
		matched += bpf_filter(program, blocks + desc[i].offset, desc[i].wire_len, desc[i].len) != 0;
	return matched;
}
