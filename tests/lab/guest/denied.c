// SPDX-License-Identifier: GPL-2.0
/* denied INTERFACE: what a user without capabilities must not be able to do. */
#include <linux/capability.h>
#include <linux/filter.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "zc.h"

#define NOBODY	65534

static const char *interface;

static void expect(bool good, const char *what)
{
	if (!good)
		die("%s", what);
}

static void drop_all(void)
{
	expect(!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY), "drop");
}

static void in_child(void (*test)(int), int fd)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		test(fd);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		_exit(1);
}

static void test_open(int unused)
{
	(void)unused;
	drop_all();
	expect(zc_socket() < 0 && errno == EPERM, "socket without CAP_NET_RAW: EPERM");
}

static void test_bind(int fd)
{
	drop_all();
	expect(zc_bind(fd, interface, 0, ZC_DIR_RX) && errno == EPERM, "bind: EPERM");
	expect(zc_bind(fd, interface, 0, ZC_DIR_TX) && errno == EPERM, "bind to send: EPERM");
}

/* Root of a namespace of its own is nobody in ours. */
static void test_namespace(int fd)
{
	struct sockaddr_zc address = {
		.szc_family = zc_family(),
		.szc_ifindex = if_nametoindex(interface),
	};
	int own;

	drop_all();
	expect(!unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare");
	expect(bind(fd, (struct sockaddr *)&address, sizeof(address)) && errno == EPERM,
	       "bind of a socket of the first namespace: EPERM");
	own = zc_socket();
	expect(own >= 0, "socket in the own namespace");
	expect(bind(own, (struct sockaddr *)&address, sizeof(address)) && errno == ENODEV,
	       "an interface of another namespace: ENODEV");
}

/* As another process of the same user, also behind execve(): the limit is the user's. */
static void test_memlock_again(int fd)
{
	struct zc_buffer_req req = { .size = 64 << 10, .addr = (uintptr_t)zc_blocks(64) };

	expect(setsockopt(fd, SOL_ZEROCOPY, ZC_OPT_BUFFER, &req, sizeof(req)) && errno == ENOMEM,
	       "RLIMIT_MEMLOCK once more, by another process: ENOMEM");
}

/* A filter that no frame passes is refused, and not taken in silence. */
static void test_filter(int fd)
{
	struct sock_filter all = { .code = 6 /* BPF_RET */, .k = 65535 };
	struct sock_fprog program = { .len = 1, .filter = &all };

	expect(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) &&
	       errno == EPERM, "SO_ATTACH_FILTER: EPERM");
}

static void test_memlock(int fd)
{
	int other = zc_socket();
	struct rlimit limit = { 64 << 10, 64 << 10 };
	struct zc_buffer_req req = { .size = (64 << 10) + 4096 };

	expect(!setrlimit(RLIMIT_MEMLOCK, &limit), "setrlimit");
	req.addr = (uintptr_t)zc_blocks(64);
	drop_all();
	expect(setsockopt(fd, SOL_ZEROCOPY, ZC_OPT_BUFFER, &req, sizeof(req)) && errno == ENOMEM,
	       "a page beyond RLIMIT_MEMLOCK: ENOMEM");
	req.size = 64 << 10;
	expect(!setsockopt(fd, SOL_ZEROCOPY, ZC_OPT_BUFFER, &req, sizeof(req)),
	       "RLIMIT_MEMLOCK itself");
	in_child(test_memlock_again, other);
	/* The parent holds both, too: the pages stay until it has closed them. */
}

/* A worker: an inherited ring is all it has, and it can read only. */
static void test_worker(int unused)
{
	struct zc zc = zc_open(interface, 0, ZC_DIR_RX, 64);
	size_t size = 4096 + 64 * sizeof(struct zc_desc);
	struct zc_wake_req wake = { .busy_poll_us = 1 };

	(void)unused;
	drop_all();
	zc_map(&zc);
	expect(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, zc.fd, ZC_PGOFF_RING) ==
	       MAP_FAILED && errno == EPERM, "a writable ring: EPERM");
	expect(mmap(NULL, size, PROT_READ, MAP_PRIVATE, zc.fd, ZC_PGOFF_RING) == MAP_FAILED &&
	       errno == EINVAL, "a private ring: EINVAL");
	expect(mprotect(zc.header, size, PROT_READ | PROT_WRITE) && errno == EACCES,
	       "mprotect of the ring: EACCES");
	expect(mmap(NULL, 2 * size, PROT_READ, MAP_SHARED, zc.fd, ZC_PGOFF_RING) == MAP_FAILED,
	       "more than the ring");
	expect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, zc.fd, ZC_PGOFF_BUFFER) == MAP_FAILED,
	       "a User Buffer that was brought is not mapped twice");
	expect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, zc.fd, 4096) == MAP_FAILED,
	       "any other offset");
	expect(recv(zc.fd, &size, sizeof(size), MSG_DONTWAIT) < 0 && errno == EBUSY,
	       "recv() beside a mapped page: EBUSY");
	expect(shutdown(zc.fd, SHUT_RD) && errno == EPERM, "shutdown: EPERM");
	expect(setsockopt(zc.fd, SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)) && errno == EPERM,
	       "busy polling: EPERM");
	wake = (struct zc_wake_req){ .frames = 8, .usecs = 100 };
	expect(!setsockopt(zc.fd, SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)), "moderation");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	interface = argv[1];
	in_child(test_open, -1);
	in_child(test_bind, zc_socket());
	in_child(test_namespace, zc_socket());
	in_child(test_filter, zc_socket());
	in_child(test_memlock, zc_socket());
	in_child(test_worker, -1);
	printf("good\n");
	return 0;
}
