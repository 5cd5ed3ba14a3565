// SPDX-License-Identifier: GPL-2.0
/*
 * plain INTERFACE COUNT SIZE: an ordinary program, which knows recv() only.
 *
 * Takes queue 0 of an interface whose RETA sends everything there.
 */
#include <sys/time.h>

#include "frame.h"
#include "zc.h"

static void expect(bool good, const char *what)
{
	if (!good)
		die("%s", what);
}

/* The descriptor of a frame comes as a control message; a short buffer says so. */
static void read_first(int fd, unsigned int size)
{
	char frame[20], control[CMSG_SPACE(sizeof(struct zc_desc))];
	struct iovec part = { frame, sizeof(frame) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct zc_desc desc;

	expect(recvmsg(fd, &msg, MSG_PEEK | MSG_TRUNC) == sizeof(frame), "peek gives what fits");
	expect(msg.msg_flags & MSG_TRUNC, "MSG_TRUNC is told");
	expect(CMSG_FIRSTHDR(&msg) && CMSG_FIRSTHDR(&msg)->cmsg_level == SOL_ZEROCOPY &&
	       CMSG_FIRSTHDR(&msg)->cmsg_type == ZC_CMSG_DESC, "a descriptor comes along");
	memcpy(&desc, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(desc));
	expect(desc.len == size && desc.timestamp, "the descriptor is that of the frame");
}

/* Behind SHUT_RD nothing comes, nothing waits, and the queue is free. */
static void end(int fd, const char *interface)
{
	struct pollfd poller = { .fd = fd, .events = POLLRDHUP };
	int other = zc_socket();
	char frame[20];

	expect(zc_bind(other, interface, 0, ZC_DIR_RX) && errno == EBUSY, "the queue is taken");
	expect(shutdown(fd, SHUT_WR) && errno == EOPNOTSUPP, "a receive ring does not send");
	expect(shutdown(other, SHUT_RD) && errno == ENOTCONN, "unbound: ENOTCONN");
	expect(!shutdown(fd, SHUT_RD), "shutdown");
	expect(poll(&poller, 1, 0) == 1 && poller.revents == POLLRDHUP, "poll tells the end");
	expect(!recv(fd, frame, sizeof(frame), 0), "the end of the frames");
	expect(!shutdown(fd, SHUT_RD), "shutdown again");
	expect(!zc_bind(other, interface, 0, ZC_DIR_RX), "the queue is free");
}

int main(int argc, char **argv)
{
	struct timeval patience = { .tv_sec = 60 };
	uint8_t frame[2048], wanted[FRAME_MAX];
	struct frame_hash hash;
	int fd = zc_socket();

	if (argc < 4)
		return 2;
	expect(recv(fd, frame, sizeof(frame), 0) < 0 && errno == ENXIO, "unbound: ENXIO");
	expect(!zc_bind(fd, argv[1], 0, ZC_DIR_RX), "bind");
	expect(recv(fd, frame, sizeof(frame), MSG_DONTWAIT) < 0 && errno == EAGAIN, "EAGAIN");
	expect(send(fd, frame, 60, 0) < 0 && errno == EOPNOTSUPP, "no send on a receive ring");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	printf("READY\n");
	fflush(stdout);
	for (int n = 0; n < atoi(argv[2]); n++) {
		unsigned int size = frame_size(n, atoi(argv[3]));
		struct pollfd poller = { .fd = fd, .events = POLLIN };

		expect(poll(&poller, 1, 60000) == 1 && poller.revents & POLLIN, "poll");
		if (!n)
			read_first(fd, size);
		frame_make(wanted, n, size, &hash);
		expect(recv(fd, frame, sizeof(frame), 0) == (ssize_t)size, "length");
		expect(!memcmp(frame, wanted, size), "bytes");
	}
	end(fd, argv[1]);
	printf("good\n");
	return 0;
}
