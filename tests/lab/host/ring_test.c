// SPDX-License-Identifier: GPL-2.0
/*
 * The ring's logic in user space: a cursor against lies and wrap-around, then
 * a producer and a consumer in two threads, which sleep and stall as the kernel
 * and a worker do.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "zc_ring.h"

#define CHECK(what)	((what) ? (void)checks++ : fail(#what, __LINE__))
#define SLOTS		64
#define FRAMES		2000000U

static unsigned int checks;

static void fail(const char *what, int line)
{
	printf("ring_test.c:%d: %s\n", line, what);
	exit(1);
}

/* From just below the wrap-around of 32 bits, so that every sum crosses it. */
static struct zc_cursor cursor(void)
{
	u32 start = -SLOTS / 2;

	return (struct zc_cursor){ SLOTS, start, start, start };
}

static void test_room(void)
{
	struct zc_cursor c = cursor();

	CHECK(zc_cursor_free(&c) == SLOTS);
	CHECK(zc_cursor_room(&c, 15) == 15);
	c.posted += 15;
	CHECK(zc_cursor_room(&c, 15) == 0);
	CHECK(zc_cursor_room(&c, 7) == 0);
	c.write += 15;
	CHECK(zc_cursor_unread(&c) == 15);
	CHECK(zc_cursor_room(&c, 1000) == SLOTS - 15);
	c.posted = c.write = c.released + SLOTS;
	CHECK(zc_cursor_free(&c) == 0);
	CHECK(zc_cursor_room(&c, 1000) == 0);
}

static void test_lies(void)
{
	struct zc_cursor c = cursor();
	u32 start = c.released;

	c.posted += 40;
	c.write += 20;
	CHECK(!zc_cursor_release(&c, c.write + 1));
	CHECK(!zc_cursor_release(&c, start - 1));
	CHECK(!zc_cursor_release(&c, start + 0x80000000U));
	CHECK(c.released == start);
	CHECK(zc_cursor_release(&c, start + 5));
	CHECK(!zc_cursor_release(&c, start));
	CHECK(zc_cursor_release(&c, c.write));
	CHECK(zc_cursor_unread(&c) == 0);
	CHECK(zc_cursor_offered(&c, c.posted + 44) == 44);
	CHECK(zc_cursor_offered(&c, c.posted + 45) == 0);
	CHECK(zc_cursor_offered(&c, c.posted - 1) == 0);
}

/* Random lies: the invariant of zc_ring.h holds after every step. */
static void test_fuzz(void)
{
	struct zc_cursor c = cursor();

	for (unsigned int i = 0; i < 1000000; i++) {
		u32 room = zc_cursor_room(&c, 1 + random() % 100);

		zc_cursor_release(&c, i % 3 ? c.released + random() % 80 : random() * 2U);
		c.posted += room ? random() % (room + 1) : 0;
		c.write += random() % (zc_cursor_inflight(&c) + 1);
		if (c.write - c.released > c.posted - c.released ||
		    c.posted - c.released > c.slots)
			fail("released <= write <= posted <= released + slots", __LINE__);
	}
	checks++;
}

static struct zc_ring_header header;
static struct zc_user_page user;
static u32 blocks[SLOTS];
static int wake, kick;

static void wait_for(int fd, const char *what)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	uint64_t value;

	if (poll(&poller, 1, 5000) != 1)
		fail(what, __LINE__);
	if (read(fd, &value, sizeof(value)) != sizeof(value))
		fail("eventfd", __LINE__);
}

static void raise_event(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		fail("eventfd", __LINE__);
}

static void *produce(void *unused)
{
	struct zc_cursor c = { .slots = SLOTS };

	for (u32 n = 0; n < FRAMES; n++) {
		zc_ring_collect(&c, &user);
		while (!zc_cursor_free(&c) && zc_ring_stall(&c, &header, &user))
			wait_for(kick, "a stalled producer is kicked");
		zc_ring_unstall(&header);
		blocks[zc_cursor_slot(&c, n)] = n * 2654435761U;
		c.posted++;
		c.write++;
		zc_ring_submit(&c, &header);
		if (zc_ring_wants_wake(&user))
			raise_event(wake);
		if (n % 1000 == 0)
			usleep(1);
	}
	return unused;
}

static void consume(void)
{
	u32 read = 0;

	while (read < FRAMES) {
		u32 ready = zc_ring_peek(&header, read);

		if (ready > SLOTS)
			fail("no more frames than slots", __LINE__);
		while (ready--) {
			if (blocks[read & (SLOTS - 1)] != read * 2654435761U)
				fail("a frame is what was written", __LINE__);
			zc_ring_release(&user, ++read);
			if (zc_ring_needs_kick(&header))
				raise_event(kick);
		}
		if (read < FRAMES && zc_ring_may_sleep(&header, &user, read))
			wait_for(wake, "a sleeping consumer is woken");
		zc_ring_awake(&user);
	}
}

static void test_threads(void)
{
	pthread_t producer;

	wake = eventfd(0, 0);
	kick = eventfd(0, 0);
	pthread_create(&producer, NULL, produce, NULL);
	consume();
	pthread_join(producer, NULL);
	checks++;
}

int main(void)
{
	test_room();
	test_lies();
	test_fuzz();
	test_threads();
	printf("ring logic in user space: %u checks, %u frames from thread to thread\n", checks, FRAMES);
	return 0;
}
