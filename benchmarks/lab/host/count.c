// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts the instructions which the guest executes, those
 * of its kernel and those of its programs, and says them to who asks:
 *
 *	-plugin count.so,socket=PATH[,profile=on]
 *
 * A byte written to the socket is answered by "KERNEL USER\n".  With profile=on
 * the kernel's are also kept by address, and the byte 'p' is answered by lines
 * of "ADDRESS COUNT", where not 0, and an empty line.
 *
 * Counts are per translated block, added as the block is entered: one that an
 * exception leaves early counts as whole.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What is used of QEMU's plugin interface; Debian packages no header of it. */
#define EXPORT __attribute__((visibility("default")))
#define INTERFACE_VERSION 4
#define INLINE_ADD_U64 0

struct qemu_plugin_tb;
struct qemu_plugin_scoreboard;
struct entry {
	struct qemu_plugin_scoreboard *board;
	size_t offset;
};

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_sum(struct entry entry);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int op,
						       struct entry entry, uint64_t value);

EXPORT int qemu_plugin_version = INTERFACE_VERSION;

#define KERNEL_HALF	0xffff800000000000UL
/* Without KASLR: the kernel's image, and the modules behind it. */
#define PROFILE_START	0xffffffff80000000UL
#define PROFILE_SIZE	0x42000000UL
#define BUCKET		16	/* as functions are aligned */

struct counts {
	uint64_t kernel, user;
	uint64_t by_address[];
};

static struct qemu_plugin_scoreboard *board;
static bool profile;
static int listener;

static struct entry entry_at(size_t offset)
{
	return (struct entry){ board, offset };
}

static struct entry bucket_entry(uint64_t bucket)
{
	return entry_at(offsetof(struct counts, by_address) + bucket * sizeof(uint64_t));
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb), length = qemu_plugin_tb_n_insns(tb);
	size_t whose = address >= KERNEL_HALF ? offsetof(struct counts, kernel) :
						offsetof(struct counts, user);

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD_U64, entry_at(whose), length);
	if (profile && address - PROFILE_START < PROFILE_SIZE)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
			tb, INLINE_ADD_U64, bucket_entry((address - PROFILE_START) / BUCKET), length);
}

static void say_counts(FILE *client)
{
	fprintf(client, "%lu %lu\n", qemu_plugin_u64_sum(entry_at(offsetof(struct counts, kernel))),
		qemu_plugin_u64_sum(entry_at(offsetof(struct counts, user))));
}

static void say_profile(FILE *client)
{
	for (uint64_t i = 0; profile && i < PROFILE_SIZE / BUCKET; i++) {
		uint64_t count = qemu_plugin_u64_sum(bucket_entry(i));

		if (count)
			fprintf(client, "%lx %lu\n", PROFILE_START + i * BUCKET, count);
	}
	fprintf(client, "\n");
}

static void *answer(void *unused)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		FILE *client = fd < 0 ? NULL : fdopen(fd, "w");
		char asked;

		while (client && read(fd, &asked, 1) == 1) {
			if (asked == 'p')
				say_profile(client);
			else
				say_counts(client);
			fflush(client);
		}
		if (client)
			fclose(client);
	}
	return unused;
}

static int listen_at(const char *path)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(here.sun_path, path, sizeof(here.sun_path) - 1);
	if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)))
		return -1;
	return listen(listener, 1);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	size_t size = sizeof(struct counts);
	const char *path = "";
	pthread_t thread;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "socket=", 7))
			path = argv[i] + 7;
		else if (!strcmp(argv[i], "profile=on"))
			profile = true;
	}
	if (profile)
		size += PROFILE_SIZE / BUCKET * sizeof(uint64_t);
	board = qemu_plugin_scoreboard_new(size);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return listen_at(path) || pthread_create(&thread, NULL, answer, NULL) ? -1 : 0;
}
