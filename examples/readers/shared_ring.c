// SPDX-License-Identifier: GPL-2.0
/*
 * shared_ring SOCKET: write the frames of a `zcframe run --out ring:NAME` to
 * stdout, as a pcap file, until the run ends.
 *
 *     gcc -O2 -Wall -I kernel/include/uapi -o shared_ring examples/readers/shared_ring.c
 *     ./shared_ring /run/zcframe/NAME.sock | tcpdump -n -r -
 *
 * The writer waits for nobody: docs/decisions/rings-for-others.md.
 */
#include <err.h>
#include <linux/pf_zerocopy.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

static int door;
static const struct zc_ring_header *header;
static const unsigned char *blocks;
static volatile struct {	/* a page of our own: how far we are, and what we passed over */
	struct zc_user_page user;
	uint64_t position, lost;
} *page;

static void *map(int fd, size_t size, int protection)
{
	void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

/* Says who we are, and maps the three descriptors of the answer. */
static void open_ring(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char word[128] = "", control[CMSG_SPACE(3 * sizeof(int))];
	struct iovec vector = { .iov_base = word, .iov_len = sizeof(word) - 1 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int fds[3];

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	door = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (connect(door, (struct sockaddr *)&address, sizeof(address)) ||
	    send(door, "read shared_ring", 16, 0) < 0 || recvmsg(door, &message, 0) <= 0)
		err(1, "%s", path);
	if (!CMSG_FIRSTHDR(&message))
		errx(1, "%s: %s", path, word);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fds));
	header = map(fds[0], 4096, PROT_READ);	/* says how large all else is */
	if (header->magic != ZC_ABI_MAGIC || header->version != ZC_ABI_VERSION)
		errx(1, "%s: a ring of version %u", path, header->version);
	blocks = map(fds[1], header->buffer_size, PROT_READ);
	page = map(fds[2], 4096, PROT_READ | PROT_WRITE);
	header = map(fds[0], header->desc_offset + (size_t)header->slots * header->desc_size, PROT_READ);
}

/* Copies frame `at`, and writes it if it was not overwritten meanwhile; else goes on half a ring behind the writer. */
static void read_frame(uint64_t at)
{
	static unsigned char frame[65536];
	const char *slot = (const char *)header + header->desc_offset + (at & (header->slots - 1)) * header->desc_size;
	struct zc_desc desc = *(const struct zc_desc *)slot;

	if ((uint64_t)desc.offset + desc.len <= header->buffer_size)
		memcpy(frame, blocks + desc.offset, desc.len);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* the copy before the check */
	uint64_t ahead = __atomic_load_n(&header->arrived, __ATOMIC_ACQUIRE) - at;
	uint64_t skip = ahead > header->slots - header->slots / 4 ? ahead - header->slots / 2 : 0;
	uint32_t record[4] = { desc.timestamp / 1000000000, desc.timestamp % 1000000000, desc.len, desc.wire_len };
	if (!skip && fwrite(record, sizeof(record), 1, stdout))
		fwrite(frame, desc.len, 1, stdout);
	page->lost += skip;
	page->position = at + (skip ? skip : 1);
}

int main(int argc, char **argv)
{
	const uint32_t head[6] = { 0xa1b23c4d, 4 << 16 | 2, 0, 0, 262144, 1 };
	uint32_t state = 0;

	if (argc != 2)
		errx(2, "usage: shared_ring SOCKET");
	open_ring(argv[1]);
	fwrite(head, sizeof(head), 1, stdout);
	for (struct pollfd end = { .fd = door, .events = POLLIN }; state != ZC_STATE_GONE && !end.revents; poll(&end, 1, 1)) {
		state = __atomic_load_n(&header->state, __ATOMIC_ACQUIRE);
		while (page->position != __atomic_load_n(&header->arrived, __ATOMIC_ACQUIRE))
			read_frame(page->position);
		fflush(stdout);
	}
	send(door, "bye", 3, MSG_NOSIGNAL);	/* the run may have ended, which is no error of ours */
	return !!ferror(stdout);
}
