/*
 * How the threads of a shared ring sleep and wake each other: src/uring/shared/members.ts (arm, disarm,
 * wake, waitForOrder, wakeForOrder, recover), ring.ts (isReady, sleep), reaper.ts (gather). Checked by
 * SPIN: nobody sleeps for ever while a completion of its own is in the queue, in its inbox, or to tell.
 *
 * The kernel writes COMPLETIONS completions, all but one for one thread and that one for another, which
 * tell theirs in order and sleep until then. Or all are for one thread, and the other only reaps, and
 * may be terminated where V8 can end it: then it is recovered by somebody. A thread sleeps until its
 * eventfd is readable or the queue has something unclaimed. How completions are claimed and passed on
 * is in shared-ring-reaping.pml.
 *
 * Memory is weak where Atomics matter: without them, what a thread stores before it goes to sleep may
 * stay in a store buffer (`arming`, `asking`) while it looks once more.
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   LOOK_FIRST      whoever goes to sleep looks into its inbox, then stores 0 into NOTIFIED
 *   PLAIN_ARM       whoever goes to sleep may look before its 0 is visible
 *   WAKE_FIRST      whoever passes a completion on wakes its owner, then fills the inbox
 *   STORE_NOTIFIED  whoever wakes loads NOTIFIED, writes the eventfd, then stores 1
 *   CLEAR_LATE      whoever was woken looks into its inbox, then reads its eventfd
 *   RING_UNWATCHED  whoever sleeps does not watch the ring
 *   ORDER_QUIETLY   whoever moves DELIVERED does not wake who waits for that
 *   ORDER_FIRST     whoever moves DELIVERED looks who waits for that, then moves it
 *   LOOK_THEN_ASK   whoever waits for DELIVERED looks at it, then says so
 *   PLAIN_ASK       whoever waits for DELIVERED may look at it before it is visible that it waits
 *   END_QUIETLY     whoever recovers a thread does not wake the others
 *   END_POLITELY    whoever recovers a thread does not wake those that NOTIFIED says were woken
 */
#ifndef COMPLETIONS
#define COMPLETIONS 3
#endif
#define THREADS 2
#define NONE 255

/* The kernel's queue: whose the completions are. They are claimed one at a time. */
byte cqHead;
byte cqTail;
byte owners[COMPLETIONS] = NONE;

/* What the threads have in common. */
bool marks[COMPLETIONS];
byte delivered;
byte orderWaiters;
bool waitsForOrder[THREADS];
byte notified[THREADS] = 1;

/* Inboxes, as sets of positions; the kernel's eventfds. */
typedef Inbox { bool has[COMPLETIONS] }
Inbox inboxes[THREADS];
bool eventfd[THREADS];

/* Stores on their way to memory: of 0 into NOTIFIED, and of both words of who waits for DELIVERED. */
bool arming[THREADS];
bool asking[THREADS];

/* How many completions each thread will get, for the check. */
byte expected[THREADS];

proctype kernel() {
  byte left[THREADS];
  d_step { left[0] = expected[0]; left[1] = expected[1] }
  do
  :: atomic { left[0] > 0 -> owners[cqTail] = 0; left[0]--; cqTail++ }
  :: atomic { left[1] > 0 -> owners[cqTail] = 1; left[1]--; cqTail++ }
  :: left[0] == 0 && left[1] == 0 -> break
  od
}

proctype storeBuffer(byte me) {
end:
  do
  :: atomic { arming[me] -> notified[me] = 0; arming[me] = false }
  :: atomic { asking[me] -> waitsForOrder[me] = true; orderWaiters++; asking[me] = false }
  od
}

/* Where V8 may end a thread. */
inline mayEnd() {
  if
  :: mayTerminate -> mayTerminate = false; ended = true
  :: true -> skip
  fi
}

/* Atomics.exchange(NOTIFIED, 1), and a write of the eventfd if it was 0. */
inline wake(whom) {
#ifdef STORE_NOTIFIED
  if
  :: notified[whom] == 0 -> eventfd[whom] = true; notified[whom] = 1
  :: else
  fi
#else
  atomic { wasAwake = notified[whom]; notified[whom] = 1 };
  mayEnd();
  if
  :: wasAwake == 0 && !ended -> eventfd[whom] = true
  :: else
  fi;
  wasAwake = 0
#endif
}

inline moveDelivered() {
  d_step {
    moved = false;
    do
    :: delivered < COMPLETIONS ->
       if
       :: marks[delivered] -> delivered++; moved = true
       :: else -> break
       fi
    :: else -> break
    od
  }
}

inline wakeForOrder() {
#ifndef ORDER_FIRST
  waiters = orderWaiters;
#endif
#ifndef ORDER_QUIETLY
  if
  :: moved && waiters > 0 && waitsForOrder[1 - me] -> wake(1 - me)
  :: else
  fi;
#endif
  waiters = 0;
  moved = false
}

/* Claims one completion, and passes it on if it is the other thread's. */
inline reap() {
  atomic {
    if
    :: cqHead < cqTail -> position = cqHead; cqHead++
    :: else
    fi
  };
  if
  :: position != NONE ->
     if
     :: owners[position] == me -> has[position] = true
     :: owners[position] != me ->
        mayEnd();
#ifdef WAKE_FIRST
        wake(1 - me);
#endif
        if
        :: !ended -> inboxes[1 - me].has[position] = true; mayEnd()
        :: else
        fi;
#ifndef WAKE_FIRST
        if
        :: !ended -> wake(1 - me)
        :: else
        fi
#endif
     fi;
     if
     :: !ended ->
#ifdef ORDER_FIRST
        waiters = orderWaiters;
#endif
        marks[position] = true;
        mayEnd()
     :: else
     fi;
     if
     :: !ended -> moveDelivered(); mayEnd()
     :: else
     fi;
     if
     :: !ended -> wakeForOrder()
     :: else
     fi;
     if
     :: !ended -> position = NONE
     :: else
     fi
  :: else
  fi
}

inline takeInbox() {
  d_step {
    for (index : 0 .. COMPLETIONS - 1) {
      if
      :: inboxes[me].has[index] -> inboxes[me].has[index] = false; has[index] = true
      :: else
      fi
    }
    index = 0
  }
}

inline gather() {
  do
  :: true ->
     takeInbox();
     if
     :: cqHead < cqTail -> reap()
     :: else -> break
     fi
  od
}

/* How many completions are still to be told of those that are there. */
inline countKept() {
  d_step {
    kept = 0;
    for (index : 0 .. COMPLETIONS - 1) {
      if
      :: has[index] -> kept++
      :: else
      fi
    }
    index = 0
  }
}

inline arm() {
#ifdef PLAIN_ARM
  arming[me] = true
#else
  atomic { !arming[me] -> notified[me] = 0 }
#endif
}

/* Two words are stored; who loads the second sees the first. */
inline waitForOrder() {
  if
  :: !asks ->
     asks = true;
#ifdef PLAIN_ASK
     asking[me] = true
#else
     orderWaiters++;
     waitsForOrder[me] = true
#endif
  :: else
  fi
}

inline endWaitForOrder() {
  if
  :: asks ->
     asks = false;
     atomic { !asking[me] -> orderWaiters-- };
     waitsForOrder[me] = false
  :: else
  fi
}

/* Tells what is there and delivered. */
inline tell() {
  d_step {
    for (index : 0 .. COMPLETIONS - 1) {
      if
      :: has[index] && index < limit -> has[index] = false; told++; ready = true
      :: else
      fi
    }
    index = 0;
    limit = 0
  }
}

proctype sleeper(byte me) {
  byte told, kept, limit, index, position = NONE, wasAwake, waiters;
  bool has[COMPLETIONS];
  bool asks, ready, moved, ended, mayTerminate;
  do
  :: told < expected[me] ->
#ifdef LOOK_FIRST
     gather();
     arm();
#else
     arm();
     gather();
#endif
     countKept();
#ifdef LOOK_THEN_ASK
     limit = delivered;
#endif
     if
     :: kept > 0 -> waitForOrder()
     :: else
     fi;
#ifndef LOOK_THEN_ASK
     limit = delivered;
#endif
     ready = false;
     tell();
     if
     :: ready ->
        countKept();
        if
        :: kept == 0 -> endWaitForOrder()
        :: else
        fi
     :: else ->
#ifdef CLEAR_LATE
        eventfd[me] = false;
#endif
        if
        :: eventfd[me]
#ifndef RING_UNWATCHED
        :: cqHead < cqTail
#endif
        fi;
#ifndef CLEAR_LATE
        eventfd[me] = false
#endif
     fi;
     kept = 0;
     atomic { !arming[me] -> notified[me] = 1 }
  :: else -> break
  od
}

/* A thread that only reaps; and who recovers it. */
proctype reaper(byte me) {
  byte index, position = NONE, wasAwake, waiters;
  bool has[COMPLETIONS];
  bool moved, ended, mayTerminate = true;
end:
  do
  :: cqHead < cqTail && !ended -> reap()
  :: ended ->
     ended = false;
     if
     :: !marks[position] -> inboxes[1 - me].has[position] = true; marks[position] = true
     :: else
     fi;
     moveDelivered();
     wakeForOrder();
#ifdef END_POLITELY
     wake(1 - me);
#elif !defined(END_QUIETLY)
     eventfd[1 - me] = true;
#endif
     break
  od
}

init {
  byte who;
  atomic {
    for (who : 0 .. THREADS - 1) { run storeBuffer(who) }
    if
    :: true -> expected[0] = COMPLETIONS; run reaper(1)
    :: true -> expected[0] = COMPLETIONS - 1; expected[1] = 1; run sleeper(1)
    fi;
    who = 0;
    run kernel();
    run sleeper(0)
  }
}
