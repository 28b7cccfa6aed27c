/*
 * How the threads of a buffer pool wait and are served: src/pool/queue.ts (tell), src/pool/pool.ts
 * (sleepOn), src/pool/membership.ts (listen). Checked by SPIN for deadlock and for the assertions.
 *
 * Three threads share a budget of two buffers. Thread 0 waits on its event loop, thread 1 asleep, and
 * thread 2 on its event loop but may give up. The lock is taken as given: what it protects is one step
 * each for the others, but a store and the notification after it are two.
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   LOOK_FIRST    the listener reads the signal after it has looked at the tables
 *   BLIND_SLEEP   the sleeper does not compare its word before it sleeps
 *   NOTIFY_FIRST  whoever serves notifies, then stores
 *   BARGE         a request that fits is served although others wait
 *   LEAVE_QUIETLY whoever gives up does not serve those behind it
 *   SERVE_ONE     whoever releases serves one waiter only
 */
#define BUDGET 2
#define THREADS 3
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define NONE 0
#define WAITING 1
#define GRANTED 2

byte lock = 0;
byte used = 0;
byte state[THREADS];
byte needs[THREADS];
byte signal[THREADS];
bool asleep[THREADS];

/* The queue: tickets are numbers in the order of asking, 0 for who does not wait. */
byte ticket[THREADS];
byte nextTicket = 1;

byte head;

inline acquire() { atomic { lock == 0 -> lock = 1 } }

/* The thread that has waited longest, or THREADS. */
inline findHead() {
  head = THREADS;
  byte at = 0;
  do
  :: at < THREADS ->
     if
     :: state[at] == WAITING && (head == THREADS || ticket[at] < ticket[head]) -> head = at
     :: else
     fi;
     at++
  :: else -> break
  od;
  at = 0
}

/* Budget is handed over before the lock is free: nobody is left waiting for what is there. */
inline release() {
  d_step {
    findHead();
    assert(head == THREADS || used + needs[head] > BUDGET);
    lock = 0
  }
}

inline notify(who) { asleep[who] = false }

inline tell(who) {
#ifdef NOTIFY_FIRST
  notify(who);
  state[who] = GRANTED;
  signal[who]++;
#else
  state[who] = GRANTED;
  signal[who]++;
  notify(who)
#endif
}

/* Under the lock: hands budget to those who wait, in order, while the first one fits. */
inline serve() {
  do
  :: d_step { findHead() };
     if
     :: head < THREADS && used + needs[head] <= BUDGET ->
        used = used + needs[head];
        assert(used <= BUDGET);
        tell(head)
     :: else -> break
     fi;
#ifdef SERVE_ONE
     break
#endif
  od
}

inline ask(who, count) {
  acquire();
  d_step { findHead() };
  needs[who] = count;
  if
#ifdef BARGE
  :: used + count <= BUDGET ->
#else
  :: head == THREADS && used + count <= BUDGET ->
#endif
     assert(head == THREADS); /* nobody is overtaken */
     used = used + count;
     state[who] = GRANTED
  :: else ->
     ticket[who] = nextTicket;
     nextTicket++;
     state[who] = WAITING;
     serve()
  fi;
  release()
}

inline giveBack(who) {
  acquire();
  used = used - needs[who];
  state[who] = NONE;
  serve();
  release()
}

/* Atomics.waitAsync and Atomics.wait compare and go to sleep in one step. */
inline listen(who) {
  byte seen;
  do
  ::
#ifndef LOOK_FIRST
     seen = signal[who];
#endif
     acquire();
     if
     :: state[who] == GRANTED -> release(); break
     :: else -> release()
     fi;
#ifdef LOOK_FIRST
     seen = signal[who];
#endif
     atomic {
       if
       :: signal[who] == seen -> asleep[who] = true
       :: else
       fi
     };
     !asleep[who]
  od
}

inline sleepOn(who) {
  do
  :: state[who] == GRANTED -> break
  :: else ->
#ifdef BLIND_SLEEP
     asleep[who] = true;
#else
     atomic {
       if
       :: state[who] == WAITING -> asleep[who] = true
       :: else
       fi
     };
#endif
     !asleep[who]
  od
}

active proctype onLoop() {
  byte round = 0;
  do
  :: round < ROUNDS -> ask(0, 1); listen(0); giveBack(0); round++
  :: else -> break
  od
}

active proctype sleeper() {
  byte round = 0;
  do
  :: round < ROUNDS -> ask(1, 2 - round % 2); sleepOn(1); giveBack(1); round++
  :: else -> break
  od
}

active proctype quitter() {
  byte round = 0;
  do
  :: round < ROUNDS ->
     ask(2, 1 + round % 2);
     if
     :: listen(2); giveBack(2)
     :: acquire(); /* gives up, unless it was served */
        if
        :: state[2] == WAITING ->
           state[2] = NONE;
#ifndef LEAVE_QUIETLY
           serve();
#endif
           release()
        :: else -> release(); giveBack(2)
        fi
     fi;
     round++
  :: else -> break
  od
}
