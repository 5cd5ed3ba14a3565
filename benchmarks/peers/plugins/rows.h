/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hash tables as zcframe's plugins declare them (framework/state/table.py): open addressing, linear probing within a
 * window, a row that is idle or done gives its slot to a new key when the window is full.  A row begins with its tag,
 * 0 in a free slot, and its key.
 *
 * DEFINE_ROWS(rows, row, key) makes struct rows of struct row with struct key, and rows_find(), rows_upsert().  It
 * takes key_hash(), key_equal(), row_ready(row, now), row_rank(row).
 */
#ifndef BENCH_PLUGINS_ROWS_H
#define BENCH_PLUGINS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WINDOW = 16 };

static const uint64_t SECRETS[] = {
	0x9e3779b97f4a7c15ULL, 0xd6e8feb86659fd93ULL, 0xa0761d6478bd642fULL, 0xe7037ed1a0b428dbULL,
	0x8ebc6af09c88c6e3ULL, 0x589965cc75374cc3ULL, 0x1d8e4e27c47d124fULL, 0xeb44accab455d165ULL,
};

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Hash of `count` words; the multiplications of pairs do not wait for each other. */
static inline __attribute__((always_inline)) uint64_t hash_words(const uint64_t *words, int count)
{
	uint64_t mixed = count % 2 ? 0 : SECRETS[count];

	for (int i = 0; i + 1 < count; i += 2)
		mixed ^= fold(words[i] ^ SECRETS[i], words[i + 1] ^ SECRETS[i + 1]);
	if (count % 2)
		mixed ^= fold(words[count - 1] ^ SECRETS[count - 1], SECRETS[count]);
	return fold(mixed, SECRETS[count + 1]);
}

#define DEFINE_ROWS(rows_t, row_t, key_t)								\
	struct rows_t {											\
		struct row_t *slots;									\
		uint64_t mask, count, lost, expired;							\
	};												\
													\
	static inline struct row_t *rows_t##_search(const struct rows_t *rows, const struct key_t *key,	\
						    uint64_t hash, struct row_t **empty)			\
	{												\
		uint32_t tag = hash >> 32 | 1;								\
													\
		for (uint64_t probe = 0; probe < WINDOW; probe++) {					\
			struct row_t *row = &rows->slots[(hash + probe) & rows->mask];			\
													\
			if (row->tag == tag && key_t##_equal(&row->key, key))				\
				return row;								\
			if (!row->tag) {								\
				*empty = row;								\
				return NULL;								\
			}										\
		}											\
		*empty = NULL;										\
		return NULL;										\
	}												\
													\
	static inline struct row_t *rows_t##_find(const struct rows_t *rows, const struct key_t *key)	\
	{												\
		struct row_t *empty;									\
													\
		return rows_t##_search(rows, key, key_t##_hash(key), &empty);				\
	}												\
													\
	/* The row of a full window that gives up its slot, or NULL. */					\
	static __attribute__((noinline)) struct row_t *rows_t##_give_up(struct rows_t *rows,		\
									uint64_t hash, int64_t now)	\
	{												\
		struct row_t *least = NULL;								\
													\
		for (uint64_t probe = 0; probe < WINDOW; probe++) {					\
			struct row_t *row = &rows->slots[(hash + probe) & rows->mask];			\
													\
			if (row_t##_ready(row, now) && (!least || row_t##_rank(row) < row_t##_rank(least)))	\
				least = row;								\
		}											\
		rows->expired += least != NULL;								\
		return least;										\
	}												\
													\
	/* NULL where there is no room; *fresh: the row was made, and all but its key is 0 */		\
	static inline struct row_t *rows_t##_upsert(struct rows_t *rows, const struct key_t *key,	\
						    uint64_t hash, int64_t now, bool *fresh)		\
	{												\
		struct row_t *empty, *row = rows_t##_search(rows, key, hash, &empty);			\
													\
		*fresh = !row;										\
		if (row)										\
			return row;									\
		rows->count += empty != NULL;								\
		if (!empty)										\
			empty = rows_t##_give_up(rows, hash, now);					\
		if (!empty) {										\
			rows->lost++;									\
			return NULL;									\
		}											\
		memset(empty, 0, sizeof(*empty));							\
		empty->tag = hash >> 32 | 1;								\
		empty->key = *key;									\
		return empty;										\
	}

/* Takes the line or lines of the first slot, for writing. */
#define ROWS_PREFETCH(rows, hash)									\
	do {												\
		const char *at_ = (const char *)&(rows)->slots[(hash) & (rows)->mask];			\
													\
		__builtin_prefetch(at_, 1);								\
		__builtin_prefetch(at_ + sizeof(*(rows)->slots) - 1, 1);				\
	} while (0)

#endif
