// SPDX-License-Identifier: GPL-2.0
/*
 * faults calls INTERFACE
 * faults probe PCI-ADDRESS
 * faults load MODULE
 *
 * Makes each call fail at its first allocation or copy, then at its second, and
 * so on until it is through, by /proc/thread-self/fail-nth.  After each failure
 * the same call has to succeed; after each kind of call nothing may be pinned
 * or charged.
 *
 * Says for each kind of call how often it failed, of how many places at which
 * something was made to fail; the rest it got over.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "zc.h"

#define SLOTS	64
#define SIZE	(SLOTS * ZC_BLOCK_SIZE)
#define DRIVER	"/sys/bus/pci/drivers/zc82576/"

struct attempt {
	int fd;
	void *blocks;
	void *map;
};

struct call {
	const char *name;
	void (*prepare)(struct attempt *attempt);
	int (*make)(struct attempt *attempt);
	void (*undo)(struct attempt *attempt);
	int others[3];		/* what the kernel says in place of ENOMEM */
};

static const char *interface, *pci, *module;	/* of these, the one that is named */
static int nth, control, family, ifindex;

/* ---- failures --------------------------------------------------------------- */

static void arm(unsigned int n)
{
	char text[16];
	int length = sprintf(text, "%u", n);

	if (pwrite(nth, text, length, 0) != length)
		die("fail-nth");
}

/* Whether it has happened.  Reading and writing the file copies, which counts, too. */
static bool disarm(void)
{
	char text[16] = "";
	bool happened = pread(nth, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	while (pwrite(nth, "0", 1, 0) != 1)
		;
	return happened;
}

static bool sane(const struct call *call, int error)
{
	bool known = error == ENOMEM || error == EFAULT || error == ENOBUFS;

	for (unsigned int i = 0; i < 3; i++)
		known = known || error == call->others[i];
	return known;
}

static long field(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	if (file)
		fclose(file);
	return value;
}

static long pinned(void)
{
	int refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY);

	if (refresh < 0 || write(refresh, "1", 1) != 1)
		die("stat_refresh");
	close(refresh);
	return field("/proc/vmstat", "nr_foll_pin_acquired ") -
	       field("/proc/vmstat", "nr_foll_pin_released ");
}

static void sweep(const struct call *call)
{
	unsigned int n = 0, failed = 0;
	bool happened = true;

	while (happened) {
		struct attempt attempt = { .fd = -1 };
		int result, error;

		call->prepare(&attempt);
		arm(++n);
		result = call->make(&attempt);
		error = errno;
		happened = disarm();
		errno = error;
		if (result < 0 && (!happened || !sane(call, error)))
			die("%s, failure %u", call->name, n);
		if (result < 0 && call->make(&attempt) < 0)
			die("%s, again after failure %u", call->name, n);
		failed += result < 0;
		call->undo(&attempt);
	}
	if (pinned() || field("/proc/self/status", "VmLck:"))
		die("%s: %ld pages pinned, %ld kB charged", call->name, pinned(),
		    field("/proc/self/status", "VmLck:"));
	printf("%s %u/%u\n", call->name, failed, n - 1);
	fflush(stdout);
}

/* ---- calls ------------------------------------------------------------------ */

static void nothing(struct attempt *attempt)
{
	(void)attempt;
}

static int make_socket(struct attempt *attempt)
{
	attempt->fd = socket(family, SOCK_RAW, htons(ETH_P_ALL));
	return attempt->fd;
}

static void undo_socket(struct attempt *attempt)
{
	close(attempt->fd);
	if (attempt->blocks)
		munmap(attempt->blocks, SIZE);
}

static void need_socket(struct attempt *attempt)
{
	if (make_socket(attempt) < 0)
		die("socket");
}

static int make_ring(struct attempt *attempt)
{
	return zc_slots(attempt->fd, SLOTS);
}

static void need_ring(struct attempt *attempt)
{
	need_socket(attempt);
	if (make_ring(attempt))
		die("ring");
}

static void need_memory(struct attempt *attempt)
{
	need_ring(attempt);
	attempt->blocks = zc_blocks(SLOTS);
}

static int make_buffer(struct attempt *attempt)
{
	return zc_register(attempt->fd, attempt->blocks, SLOTS);
}

static void need_buffer(struct attempt *attempt)
{
	need_memory(attempt);
	if (make_buffer(attempt))
		die("User Buffer");
}

/* Without the calls by which zc_bind() finds family and interface. */
static int bind_to(int fd, unsigned int direction)
{
	struct sockaddr_zc address = {
		.szc_family = family,
		.szc_direction = direction,
		.szc_ifindex = ifindex,
	};

	return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static int make_bind_rx(struct attempt *attempt)
{
	return bind_to(attempt->fd, ZC_DIR_RX);
}

static int make_bind_tx(struct attempt *attempt)
{
	return bind_to(attempt->fd, ZC_DIR_TX);
}

/* Bound to receive, with a buffer that the kernel made. */
static void need_bound(struct attempt *attempt)
{
	need_ring(attempt);
	if (make_bind_rx(attempt))
		die("bind");
}

static int map(struct attempt *attempt, size_t size, int access, off_t offset)
{
	attempt->map = mmap(NULL, size, access, MAP_SHARED, attempt->fd, offset);
	return attempt->map == MAP_FAILED ? -1 : 0;
}

static int make_map_ring(struct attempt *attempt)
{
	return map(attempt, 4096 + SLOTS * sizeof(struct zc_desc), PROT_READ, ZC_PGOFF_RING);
}

static void undo_map_ring(struct attempt *attempt)
{
	munmap(attempt->map, 4096 + SLOTS * sizeof(struct zc_desc));
	undo_socket(attempt);
}

static int make_map_user(struct attempt *attempt)
{
	return map(attempt, 4096, PROT_READ | PROT_WRITE, ZC_PGOFF_USER);
}

static void undo_map_user(struct attempt *attempt)
{
	munmap(attempt->map, 4096);
	undo_socket(attempt);
}

static int make_map_buffer(struct attempt *attempt)
{
	return map(attempt, SIZE, PROT_READ | PROT_WRITE, ZC_PGOFF_BUFFER);
}

static void undo_map_buffer(struct attempt *attempt)
{
	munmap(attempt->map, SIZE);
	undo_socket(attempt);
}

/* ---- interface, driver, module ---------------------------------------------- */

static int set_flags(bool up)
{
	struct ifreq request = { .ifr_flags = up ? IFF_UP : 0 };

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	return ioctl(control, SIOCSIFFLAGS, &request);
}

static int make_up(struct attempt *attempt)
{
	(void)attempt;
	return set_flags(true);
}

static void undo_up(struct attempt *attempt)
{
	if (set_flags(false))
		die("down");
	undo_socket(attempt);
}

/* A socket of the ring's own interface, which is up. */
static void need_buffer_up(struct attempt *attempt)
{
	if (set_flags(true))
		die("up");
	need_buffer(attempt);
}

static void need_unbound(struct attempt *attempt)
{
	int unbind = open(DRIVER "unbind", O_WRONLY);

	if (unbind < 0 || write(unbind, pci, strlen(pci)) < 0)
		die("unbind");
	close(unbind);
	attempt->fd = open(DRIVER "bind", O_WRONLY);
}

static int make_probe(struct attempt *attempt)
{
	return write(attempt->fd, pci, strlen(pci));
}

static void need_module(struct attempt *attempt)
{
	attempt->fd = open(module, O_RDONLY);
	if (attempt->fd < 0)
		die("%s", module);
}

static int make_load(struct attempt *attempt)
{
	return syscall(SYS_finit_module, attempt->fd, "", 0);
}

static void undo_load(struct attempt *attempt)
{
	if (syscall(SYS_delete_module, "pf_zerocopy", 0))
		die("unload");
	close(attempt->fd);
}

static const struct call calls[] = {
	{ "socket", nothing, make_socket, undo_socket, { ENFILE } },
	{ "ring", need_socket, make_ring, undo_socket, {} },
	{ "buffer", need_memory, make_buffer, undo_socket, {} },
	{ "bind-rx", need_buffer, make_bind_rx, undo_socket, {} },
	{ "bind-tx", need_buffer, make_bind_tx, undo_socket, {} },
	{ "bind-kernel-buffer", need_ring, make_bind_rx, undo_socket, {} },
	{ "bind-rx-up", need_buffer_up, make_bind_rx, undo_up, {} },
	{ "bind-tx-up", need_buffer_up, make_bind_tx, undo_up, {} },
	{ "mmap-ring", need_bound, make_map_ring, undo_map_ring, {} },
	{ "mmap-user", need_bound, make_map_user, undo_map_user, {} },
	{ "mmap-buffer", need_bound, make_map_buffer, undo_map_buffer, {} },
	{ "up", need_bound, make_up, undo_up, {} },
};

static const struct call probe = {
	"probe", need_unbound, make_probe, undo_socket, { EBUSY, EIO, EINVAL }
};
static const struct call load = { "load", need_module, make_load, undo_load, {} };

static void sweep_calls(void)
{
	family = zc_family();
	ifindex = if_nametoindex(interface);
	control = socket(AF_UNIX, SOCK_DGRAM, 0);
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		sweep(&calls[i]);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	interface = pci = module = argv[2];
	nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (nth < 0)
		die("fail-nth");
	if (!strcmp(argv[1], "calls"))
		sweep_calls();
	else
		sweep(strcmp(argv[1], "probe") ? &load : &probe);
	return 0;
}
