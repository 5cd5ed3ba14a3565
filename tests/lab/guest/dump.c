// SPDX-License-Identifier: GPL-2.0
/*
 * dump INTERFACE COUNT QUIET_MS: says READY, then a line for each frame of
 * queue 0: status of its descriptor, tag stripped from it, bytes on the wire,
 * and those that came, in hexadecimal.  Ends after COUNT of them, or QUIET_MS
 * without one.
 */
#include <sys/time.h>

#include "zc.h"

static void print_frame(struct msghdr *msg, const unsigned char *frame, ssize_t len)
{
	struct zc_desc desc;

	if (!CMSG_FIRSTHDR(msg))
		die("no descriptor came along");
	memcpy(&desc, CMSG_DATA(CMSG_FIRSTHDR(msg)), sizeof(desc));
	printf("%u %u %u ", desc.status, desc.vlan_tci, desc.wire_len);
	for (ssize_t i = 0; i < len; i++)
		printf("%02x", frame[i]);
	printf("\n");
}

static bool next_frame(int fd)
{
	unsigned char frame[2048];
	char control[CMSG_SPACE(sizeof(struct zc_desc))];
	struct iovec part = { frame, sizeof(frame) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(fd, &msg, 0);

	if (len < 0 && errno != EAGAIN)
		die("recvmsg");
	if (len >= 0)
		print_frame(&msg, frame, len);
	return len >= 0;
}

int main(int argc, char **argv)
{
	struct timeval quiet = { 0 };
	int fd = zc_socket();
	unsigned int left;

	if (argc != 4)
		return 2;
	left = atoi(argv[2]);
	quiet.tv_sec = atoi(argv[3]) / 1000;
	quiet.tv_usec = atoi(argv[3]) % 1000 * 1000;
	if (fd < 0 || zc_bind(fd, argv[1], 0, ZC_DIR_RX))
		die("bind to %s", argv[1]);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet)))
		die("SO_RCVTIMEO");
	printf("READY\n");
	fflush(stdout);
	while (left-- && next_frame(fd))
		;
	return 0;
}
