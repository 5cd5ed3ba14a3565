/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The timer of a consumer that is woken late, for spin: zc_ring_wake() of NAPI,
 * zc_ring_timer() on another processor, and a consumer in poll().
 *
 * In every run the consumer reads every frame: it never sleeps for ever because
 * a timer that had looked already was taken for one that will.  What is stored
 * is seen at once, but for the one barrier here: ring.pml is about the others.
 *
 *	spin -search timer.pml			no errors
 *	spin -DBROKEN=running -search timer.pml	hrtimer_active() for hrtimer_is_queued()
 *	spin -DBROKEN=early -search timer.pml	without the barrier of zc_ring_timer()
 */
#define FRAMES		3

mtype = { none, running, early };
#ifndef BROKEN
#define BROKEN		none
#endif

byte write, read;
bool want;		/* the consumer sleeps, or is about to */
bool waiting, woken;	/* it is in the wait queue; it was woken there */
bool queued, called;	/* the timer will run; its function runs */

active proctype napi()
{
	do
	:: write < FRAMES ->
		write++;			/* zc_ring_submit() */
		if
		:: !want -> skip
		:: want ->			/* they are enough to wake it now */
			queued = false;
			if
			:: waiting -> woken = true
			:: else -> skip
			fi
		:: want ->			/* or the timer has to do it */
			if
			:: queued || (BROKEN == running && called) -> skip
			:: else -> queued = true
			fi
		fi
	:: else -> break
	od
}

active proctype timer()
{
	byte seen;

end:	do
	:: queued ->
		if
		:: BROKEN == early -> seen = write
		:: else -> skip
		fi;
		d_step { queued = false; called = true };
		if
		:: BROKEN != early -> seen = write
		:: else -> skip
		fi;
		if
		:: seen != read ->		/* zc_ring_readable() */
			if
			:: waiting -> woken = true
			:: else -> skip
			fi
		:: else -> skip
		fi;
		called = false
	od
}

/* poll() looks once more when it is in the wait queue, and whenever it is woken. */
inline poll()
{
	waiting = true;
	do
	:: read != write -> break
	:: else -> woken -> woken = false
	od;
	waiting = false;
	woken = false
}

active proctype consumer()
{
	do
	:: read == FRAMES -> break
	:: read < write -> read++
	:: else ->
		want = true;			/* zc_ring_may_sleep() */
		if
		:: read == write -> poll()
		:: else -> skip
		fi;
		want = false			/* zc_ring_awake() */
	od
}
