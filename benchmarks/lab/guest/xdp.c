// SPDX-License-Identifier: GPL-2.0
/*
 * xdp INTERFACE WARM_MS WINDOW_MS SLOTS [zero]: AF_XDP, a socket a queue, in copy mode
 * or without.  The program that redirects is attached in the driver.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "load.h"

#define CHUNK	2048
#define ACQUIRE(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define RELEASE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

struct side {
	uint32_t *producer, *consumer, *flags;
	void *entries;
};

struct xsk {
	int fd;
	uint8_t *frames;
	struct side rx, fill;
};

static struct xsk sockets[LOAD_WORKERS];
static uint32_t slots;

static void must(bool good, const char *what)
{
	if (good)
		return;
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4,
				.max_entries = LOAD_WORKERS };

	return bpf(BPF_MAP_CREATE, &attr);
}

/* return bpf_redirect_map(&map, context->rx_queue_index, XDP_PASS); */
static int make_program(int map)
{
	struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)code,
				.insn_cnt = sizeof(code) / sizeof(code[0]),
				.license = (uintptr_t)"GPL" };

	return bpf(BPF_PROG_LOAD, &attr);
}

static void attach(const char *interface, int program)
{
	union bpf_attr attr = { .link_create = { .prog_fd = program, .attach_type = BPF_XDP,
						 .target_ifindex = if_nametoindex(interface),
						 .flags = XDP_FLAGS_DRV_MODE } };

	must(bpf(BPF_LINK_CREATE, &attr) >= 0, "attach");
}

static void put(int map, uint32_t queue, int fd)
{
	union bpf_attr attr = { .map_fd = map, .key = (uintptr_t)&queue, .value = (uintptr_t)&fd };

	must(!bpf(BPF_MAP_UPDATE_ELEM, &attr), "map");
}

static struct side map_side(int fd, const struct xdp_ring_offset *at, size_t entry, off_t page)
{
	char *base = mmap(NULL, at->desc + slots * entry, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, fd, page);

	must(base != MAP_FAILED, "ring");
	return (struct side){ (void *)(base + at->producer), (void *)(base + at->consumer),
			      (void *)(base + at->flags), base + at->desc };
}

static void set(int fd, int option, const void *value, socklen_t length)
{
	must(!setsockopt(fd, SOL_XDP, option, value, length), "option");
}

static void fill_all(struct xsk *xsk)
{
	for (uint32_t i = 0; i < slots; i++)
		((uint64_t *)xsk->fill.entries)[i] = (uint64_t)i * CHUNK;
	RELEASE(xsk->fill.producer, slots);
}

static void open_socket(struct xsk *xsk, const char *interface, uint32_t queue, uint16_t mode)
{
	struct sockaddr_xdp address = { .sxdp_family = AF_XDP, .sxdp_queue_id = queue,
					.sxdp_ifindex = if_nametoindex(interface),
					.sxdp_flags = mode | XDP_USE_NEED_WAKEUP };
	size_t size = (size_t)slots * CHUNK;
	struct xdp_umem_reg memory = { .len = size, .chunk_size = CHUNK };
	struct xdp_mmap_offsets at;
	socklen_t length = sizeof(at);

	xsk->fd = socket(AF_XDP, SOCK_RAW, 0);
	xsk->frames = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
			   -1, 0);
	must(xsk->fd >= 0 && xsk->frames != MAP_FAILED, "socket");
	memory.addr = (uintptr_t)xsk->frames;
	set(xsk->fd, XDP_UMEM_REG, &memory, sizeof(memory));
	set(xsk->fd, XDP_UMEM_FILL_RING, &slots, sizeof(slots));
	set(xsk->fd, XDP_UMEM_COMPLETION_RING, &(uint32_t){ 64 }, sizeof(uint32_t));
	set(xsk->fd, XDP_RX_RING, &slots, sizeof(slots));
	must(!getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &length), "offsets");
	xsk->rx = map_side(xsk->fd, &at.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
	xsk->fill = map_side(xsk->fd, &at.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	fill_all(xsk);
	must(!bind(xsk->fd, (struct sockaddr *)&address, sizeof(address)), "bind");
}

/* Chunks go back to the fill ring in the order in which they came. */
static void work(unsigned int worker, struct load_tally *tally)
{
	struct xsk *xsk = &sockets[worker];
	struct xdp_desc *descs = xsk->rx.entries;
	uint64_t *chunks = xsk->fill.entries;
	uint32_t read = *xsk->rx.consumer, filled = *xsk->fill.producer;

	load_touch(xsk->frames, (size_t)slots * CHUNK);
	for (;;) {
		uint32_t ready = ACQUIRE(xsk->rx.producer) - read;
		struct pollfd poller = { .fd = xsk->fd, .events = POLLIN };

		if (!ready) {
			poll(&poller, 1, -1);
			continue;
		}
		while (ready--) {
			struct xdp_desc *desc = &descs[read++ & (slots - 1)];

			load_frame(tally, xsk->frames + desc->addr, desc->len);
			chunks[filled++ & (slots - 1)] = desc->addr & ~(uint64_t)(CHUNK - 1);
		}
		RELEASE(xsk->rx.consumer, read);
		RELEASE(xsk->fill.producer, filled);
		load_burst(tally);
	}
}

int main(int argc, char **argv)
{
	int map = make_map(), program = make_program(map);

	if (argc < 5)
		return 2;
	must(map >= 0 && program >= 0, "program");
	slots = atoi(argv[4]);
	attach(argv[1], program);
	for (uint32_t q = 0; q < LOAD_WORKERS; q++) {
		open_socket(&sockets[q], argv[1], q, argc > 5 ? XDP_ZEROCOPY : XDP_COPY);
		put(map, q, sockets[q].fd);
	}
	return load_run(LOAD_WORKERS, atoi(argv[2]), atoi(argv[3]), work);
}
