// SPDX-License-Identifier: GPL-2.0
/*
 * warm PIDFILE WORD...: the command `zcframe WORD...`, run by a child of the
 * interpreter that tests/lab/warm.py started, with the standard streams of this
 * process. PIDFILE gets the child's pid; this process ends as the child does.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET	"/host/run/warm"

static void die(const char *what)
{
	perror(what);
	exit(125);
}

/* One message: the words, each with its zero, and the streams. */
static void hand_over(int fd, char **words)
{
	static char text[8192];
	size_t length = 0;
	int streams[] = { 0, 1, 2 };
	char control[CMSG_SPACE(sizeof(streams))] = { 0 };
	struct iovec part = { .iov_base = text };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&msg);

	for (; *words; words++) {
		if (length + strlen(*words) + 1 > sizeof(text))
			die("too long");
		length += strlen(strcpy(text + length, *words)) + 1;
	}
	part.iov_len = length;
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(streams));
	memcpy(CMSG_DATA(rights), streams, sizeof(streams));
	if (sendmsg(fd, &msg, 0) < 0)
		die("sendmsg");
}

static int32_t number(int fd)
{
	int32_t value;

	if (recv(fd, &value, sizeof(value), MSG_WAITALL) != sizeof(value))
		die("the interpreter is gone");
	return value;
}

static void note(const char *path, int32_t pid)
{
	FILE *file = fopen(path, "w");

	if (!file || fprintf(file, "%d\n", pid) < 0 || fclose(file))
		die(path);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status;

	if (argc < 3)
		return 125;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die(SOCKET);
	hand_over(fd, argv + 2);
	note(argv[1], number(fd));
	status = number(fd);
	return status < 0 ? 128 - status : status;
}
