/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of one receive ring, for spin: every run of a producer (NAPI)
 * and a consumer (a worker), on two processors that reorder what no barrier
 * orders.  The functions are those of zc_ring.h and of the code that calls
 * them.
 *
 * Whatever the order, at the end every frame was read as it was written, once:
 * nothing is read before it is written or overwritten before it is released,
 * and nobody sleeps for ever, for want of a wake-up or of a kick.
 *
 * A processor is weaker than any that Linux runs on.
 *
 *	stored   stores wait in a buffer, and become visible in any order, but
 *	         a store-release after all that its party did before
 *	early    a load may have been done earlier, up to the last load-acquire
 *	         or full barrier
 *	late     a load may be done later, up to the next store-release or full
 *	         barrier: its party goes on with the value that it will find.
 *	         If it finds another one, the consumer read a frame that was not
 *	         there; a producer that guessed wrong never ran like that
 *
 * Dependencies order nothing, as in C11: only barriers do.
 *
 *	spin -search ring.pml			no errors
 *	spin -DBROKEN=submit -search ring.pml	without the barrier of zc_ring_submit()
 *	spin -DWAIT=busy -search ring.pml	another consumer
 */
#define SLOTS		2			/* which the processors below count on */
#define FRAMES		5			/* twice around the ring, and on */

/* Barriers, by the function of zc_ring.h that holds them, and the one that is missing. */
mtype = { none, always, collect, submit, wants_wake, stall, peek, release, needs_kick, may_sleep };
#ifndef BROKEN
#define BROKEN		none
#endif

/*
 * How a consumer waits: in poll() of its socket; in poll() of an eventfd, which
 * knows nothing of the ring, so that the consumer kicks by itself; not at all.
 */
mtype = { socket, eventfd, busy };
#ifndef WAIT
#define WAIT		socket
#endif

/* Places in the memory that both see. */
#define SLOT(n)		((n) % SLOTS)		/* descriptor and block */
#define WRITE		(SLOTS)
#define READ		(SLOTS + 1)
#define RING_FLAGS	(SLOTS + 2)
#define USER_FLAGS	(SLOTS + 3)
#define PLACES		(SLOTS + 4)

#define FRAME(n)	((n) + 1)		/* what the NIC writes into a slot */
#define WRITABLE	255			/* the slot is the NIC's */
#define NEED_KICK	1
#define WANT_WAKE	1

#define PRODUCER	0
#define CONSUMER	1

typedef processor_state {
	byte stored;			/* bits of places */
	byte data[PLACES];
	byte before;			/* stores that a store-release waits for */
	byte loads_before;		/* and loads */
	byte early;
	byte found[SLOTS];
	byte late;
	byte expected[PLACES];
	bool wrong;			/* it expected what it did not find */
};

byte memory[PLACES];
processor_state cpu[2];

/* Events order nothing. */
bool wake;			/* the consumer's */
bool kick;			/* the producer's: napi_schedule() */
bool queued;			/* the consumer is in the socket's wait queue */

#define BIT(place)		(1 << (place))
#define STORED(p, place)	(cpu[p].stored & BIT(place))

/* ---- one party's instructions ------------------------------------------- */

inline store(p, place, value)
{
	d_step {
		cpu[p].data[place] = value;
		cpu[p].stored = cpu[p].stored | BIT(place)
	}
}

/* A party has one place that it releases: WRITE or READ. */
inline store_release(p, place, value, who)
{
	d_step {
		if
		:: BROKEN == who -> skip
		:: else ->
			cpu[p].before = (cpu[p].before | cpu[p].stored) & ~BIT(place);
			cpu[p].loads_before = cpu[p].late
		fi;
		cpu[p].data[place] = value;
		cpu[p].stored = cpu[p].stored | BIT(place)
	}
}

inline load(p, place, value)
{
	value = (STORED(p, place) -> cpu[p].data[place] : memory[place])
}

/* What is loaded from here on is loaded from here on. */
inline forget_early(p)
{
	cpu[p].early = 0;
	cpu[p].found[0] = 0;
	cpu[p].found[1] = 0
}

inline load_acquire(p, place, value, who)
{
	d_step {
		load(p, place, value);
		if
		:: BROKEN == who -> skip
		:: else -> forget_early(p)
		fi
	}
}

/* The party goes on as if the place held @value. */
inline load_late(p, place, value)
{
	atomic {
		!(cpu[p].late & BIT(place)) ->
		cpu[p].expected[place] = value;
		cpu[p].late = cpu[p].late | BIT(place)
	}
}

inline load_slot(p, place, value)
{
	atomic {
		if
		:: cpu[p].early & BIT(place) ->
			cpu[p].wrong = cpu[p].wrong || cpu[p].found[place] != value;
			cpu[p].early = cpu[p].early & ~BIT(place);
			cpu[p].found[place] = 0
		:: else -> load_late(p, place, value)
		fi
	}
}

inline smp_mb(p, who)
{
	atomic {
		if
		:: BROKEN == who -> skip
		:: BROKEN != who && !cpu[p].stored && !cpu[p].late -> forget_early(p)
		fi
	}
}

/* ---- what its processor does, at any time ------------------------------- */

#define MAY_DRAIN(p, place, released) \
	(STORED(p, place) && (place != released || !(cpu[p].before || cpu[p].loads_before)))

inline drain(p, place)
{
	memory[place] = cpu[p].data[place];
	cpu[p].data[place] = 0;
	cpu[p].stored = cpu[p].stored & ~BIT(place);
	cpu[p].before = cpu[p].before & ~BIT(place)
}

inline look_early(p, place)
{
	cpu[p].early = cpu[p].early | BIT(place);
	cpu[p].found[place] = memory[place]
}

inline look_late(p, place)
{
	cpu[p].wrong = cpu[p].wrong || memory[place] != cpu[p].expected[place];
	cpu[p].expected[place] = 0;
	cpu[p].late = cpu[p].late & ~BIT(place);
	cpu[p].loads_before = cpu[p].loads_before & ~BIT(place)
}

#define DRAIN(place)	d_step { MAY_DRAIN(p, place, released) -> drain(p, place) }
#define LATE(place)	d_step { cpu[p].late & BIT(place) -> look_late(p, place) }
#define EARLY(place)	d_step { p == CONSUMER && !(cpu[p].early & BIT(place)) -> look_early(p, place) }

/* Loads of slots, and of `read`, are all that A, C and D hold in place. */
proctype processor(byte p; byte released)
{
	do
	:: DRAIN(0)
	:: DRAIN(1)
	:: DRAIN(WRITE)
	:: DRAIN(READ)
	:: DRAIN(RING_FLAGS)
	:: DRAIN(USER_FLAGS)
	:: LATE(0)
	:: LATE(1)
	:: LATE(READ)
	:: EARLY(0)
	:: EARLY(1)
	od
}

/* ---- the producer: the cursor, zc_ring.h, zc_family's rx.c, zc82576's rx.c */

byte released, write, posted;

#define zc_cursor_inflight	(posted - write)
#define zc_cursor_free		(SLOTS - (posted - released))

inline zc_cursor_release(value)
{
	d_step {
		if
		:: released <= value && value <= write -> released = value
		:: else -> skip
		fi;
		value = 0
	}
}

/* Without A the load may be done after the stores that it allows. */
inline zc_ring_collect(value)
{
	if
	:: BROKEN == collect ->
		value = released;
		do
		:: value < write -> value++
		:: break
		od;
		load_late(PRODUCER, READ, value)
	:: else -> load_acquire(PRODUCER, READ, value, collect)
	fi;
	zc_cursor_release(value)
}

inline zc_ring_submit()
{
	store_release(PRODUCER, WRITE, write, submit)		/* B */
}

inline zc_ring_wants_wake(wanted)
{
	smp_mb(PRODUCER, wants_wake);				/* F */
	load(PRODUCER, USER_FLAGS, wanted)
}

inline zc_ring_unstall(flags)
{
	load(PRODUCER, RING_FLAGS, flags);
	if
	:: flags -> flags = 0; store(PRODUCER, RING_FLAGS, 0)
	:: else -> skip
	fi
}

inline zc_ring_stall(stalled, value)
{
	store(PRODUCER, RING_FLAGS, NEED_KICK);
	smp_mb(PRODUCER, stall);				/* F */
	zc_ring_collect(value);
	if
	:: zc_cursor_free == 0 -> stalled = true
	:: else -> zc_ring_unstall(value); stalled = false
	fi
}

/* An eventfd remembers; a wait queue wakes who is in it. */
inline zc_ring_wake(wanted)
{
	zc_ring_wants_wake(wanted);
	if
	:: wanted && WAIT == socket ->
		smp_mb(PRODUCER, always);	/* skwq_has_sleeper() */
		wake = wake || queued
	:: wanted && WAIT != socket -> wake = true
	:: else -> skip
	fi;
	wanted = false
}

inline zc_rx_clean(done)
{
	do
	:: zc_cursor_inflight > 0 && write < FRAMES ->
		store(PRODUCER, SLOT(write), FRAME(write));
		write++;
		done = true
	:: break
	od;
	if
	:: done -> done = false; zc_ring_submit(); zc_ring_wake(done)
	:: else -> skip
	fi
}

/* From here on the NIC may write into the slots. */
inline zc_rx_refill(value)
{
	zc_ring_collect(value);
	do
	:: zc_cursor_free > 0 -> store(PRODUCER, SLOT(posted), WRITABLE); posted++
	:: else -> break
	od
}

inline zc_rx_stalled(stalled, value)
{
	if
	:: zc_cursor_inflight > 0 -> zc_ring_unstall(value); stalled = false
	:: else -> zc_ring_stall(stalled, value)
	fi
}

/* NAPI runs when the NIC has filled a slot, and when it is kicked. */
proctype producer()
{
	byte value;
	bool flag;

	do
	:: atomic {
		if
		:: kick -> kick = false
		:: zc_cursor_inflight > 0 && write < FRAMES -> skip
		fi
	   }
	   zc_rx_clean(flag);
	   zc_rx_refill(value);
	   do
	   :: zc_rx_stalled(flag, value);
	      if
	      :: !flag && zc_cursor_inflight == 0 -> zc_rx_refill(value)
	      :: else -> flag = false; break
	      fi
	   od
	od
}

/* ---- the consumer -------------------------------------------------------- */

byte read;

inline zc_ring_peek(ready)
{
	atomic {
		load_acquire(CONSUMER, WRITE, ready, peek);	/* C */
		ready = ready - read
	}
}

inline zc_ring_release()
{
	store_release(CONSUMER, READ, read, release)		/* D */
}

inline zc_ring_needs_kick(needed)
{
	smp_mb(CONSUMER, needs_kick);				/* E */
	load(CONSUMER, RING_FLAGS, needed)
}

inline zc_ring_may_sleep(ready)
{
	store(CONSUMER, USER_FLAGS, WANT_WAKE);
	smp_mb(CONSUMER, may_sleep);				/* E */
	zc_ring_peek(ready)
}

inline zc_ring_awake()
{
	store(CONSUMER, USER_FLAGS, 0)
}

inline kick_if_needed(needed)
{
	zc_ring_needs_kick(needed);
	kick = kick || needed;
	needed = false
}

/* Of the socket.  It looks once more, behind a barrier of its own. */
inline zc_poll(ready, flag)
{
	atomic { queued = true; wake = false }
	smp_mb(CONSUMER, always);				/* sock_poll_wait() */
	kick_if_needed(flag);
	zc_ring_peek(ready);
	if
	:: ready > 0 -> skip
	:: else -> wake
	fi;
	atomic { queued = false; wake = false; ready = 0 }
}

inline sleep(ready, flag)
{
	zc_ring_may_sleep(ready);
	if
	:: ready > 0 -> skip
	:: ready == 0 && WAIT == socket -> zc_poll(ready, flag)
	:: ready == 0 && WAIT == eventfd -> atomic { wake -> wake = false }
	fi;
	zc_ring_awake()
}

proctype consumer()
{
	byte ready;
	bool flag;

	do
	:: read == FRAMES -> break
	:: read < FRAMES ->
	   zc_ring_peek(ready);
	   if
	   :: ready > 0 -> skip
	   :: ready == 0 && WAIT == busy -> memory[WRITE] != read
	   :: ready == 0 && WAIT != busy -> sleep(ready, flag); ready = 0
	   fi;
	   do
	   :: ready > 0 ->
	      load_slot(CONSUMER, SLOT(read), FRAME(read));
	      ready--;
	      read++;
	      zc_ring_release();
	      if
	      :: WAIT == socket -> skip		/* poll() kicks */
	      :: else -> kick_if_needed(flag)
	      fi
	   :: ready == 0 -> break
	   od
	od
}

/* ---- */

init
{
	atomic {
		memory[0] = WRITABLE;
		memory[1] = WRITABLE;
		posted = SLOTS;
		run processor(PRODUCER, WRITE);
		run processor(CONSUMER, READ);
		run producer();
		run consumer()
	}
	timeout ->
	assert(cpu[PRODUCER].wrong || !cpu[CONSUMER].wrong);	/* every frame was as written */
	assert(cpu[PRODUCER].wrong || read == FRAMES)		/* nobody sleeps for ever */
}
