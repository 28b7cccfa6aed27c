/*
 * How an index of a shared ring's tables goes from thread to thread: src/uring/shared/seats.ts (takeSeat,
 * sit, vacate), members.ts (join, leave, recover), native/ring.c (the end of a thread). Checked by SPIN:
 * at most one thread has the index, none is said to have ended while it has it, and when all threads
 * are done, it can be had.
 *
 * THREADS threads take the index and give it back, ROUNDS times each. They may be terminated where V8 can end
 * them, or leave with a request in flight and go on; the kernel ends that at any time. The home recovers
 * whoever has ended, and so does another thread, which may be terminated meanwhile.
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   GONE_FIRST      who leaves says that it is gone before the index is free and the shim has forgotten it
 *   GONE_UNSEEN     who joins takes a free index without a look at GONE
 *   SERIAL_KEPT     an index that is free again has the serial of the one before
 *   HELD_IGNORED    the index of a thread that goes on is free when its requests have ended
 *   SHIM_AGAIN      at the end of a thread the shim sets GONE, and some time later again
 *   LEFT_ALONE      nobody takes over from a recoverer that has ended
 *   JOINED_ALONE    an index whose thread has ended before it took part is nobody's for ever
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define NONE 255

/* Kinds of STATE. */
#define FREE 0
#define TAKEN 1
#define JOINING 2
#define LIVE 3
#define ENDED 4
#define BY_HOME 5
#define BY_OTHER 6

/* The index. Serials are renewed by whoever stores a STATE that others may wait for. */
byte kind;
byte serial;
byte serials;
bool gone = true;

/* The thread whose part has ended and that goes on; whether the kernel has a request of the member. */
byte heldBy = NONE;
bool inFlight;

/* Threads that have the index, and that are done; whether the other recoverer has ended. */
byte having;
byte done;
bool otherGone;

/* Kinds of an index that can be had when its last thread is gone. */
#ifdef JOINED_ALONE
#define IS_VACANT(kind) ((kind) == FREE)
#else
#define IS_VACANT(kind) ((kind) == FREE || (kind) == JOINING)
#endif

/* Where V8 may end a thread. */
inline mayEnd() {
  if
  :: skip
  :: goto ended
  fi
}

proctype thread(byte me) {
  byte seen, seenSerial, mine, rounds;
  bool known; /* whether the shim knows that this thread has the index */
  do
  :: rounds < ROUNDS ->
     rounds++;
     atomic { seen = kind; seenSerial = serial };
     if
     :: IS_VACANT(seen)
     :: else -> goto next
     fi;
     if
     :: gone
#ifdef GONE_UNSEEN
     :: !gone && seen == FREE
     :: !gone && seen != FREE -> goto next
#else
     :: else -> goto next
#endif
     fi;
     atomic { serials++; mine = serials };
     atomic {
       if
       :: kind == seen && serial == seenSerial -> kind = TAKEN; serial = mine
       :: else -> goto next
       fi
     };
     /* These go together. */
     gone = false;
     known = true;
     kind = JOINING;
     mayEnd();
     atomic { assert(kind == JOINING && serial == mine); kind = LIVE; having++; assert(having == 1) };
     if
     :: skip
     :: goto terminated
     :: inFlight = true; goto terminated
     fi;
     assert(!gone && having == 1);
     if
     :: true -> /* it leaves with nothing in flight */
        having--;
#ifdef GONE_FIRST
        gone = true;
        atomic { if :: kind == LIVE && serial == mine -> kind = FREE :: else fi };
        mayEnd();
        known = false
#else
#ifdef SERIAL_KEPT
        atomic { kind = FREE; serial = 0 };
#else
        kind = FREE;
#endif
        mayEnd();
        /* These go together. */
        known = false;
        gone = true
#endif
     :: true -> /* it leaves with a request in flight, and goes on without */
        inFlight = true;
        having--;
        heldBy = me;
        kind = ENDED;
        mayEnd();
        gone = true;
        goto ended
     fi;
next:
     atomic { seen = 0; seenSerial = 0; mine = 0 }
  :: else -> break
  od;
  goto ended;

terminated:
  having--;
ended:
  /* The shim says it, and closes its half of the pair, which the home sees. */
  if
  :: known -> gone = true;
#ifdef SHIM_AGAIN
     gone = true;
#endif
     known = false
  :: else
  fi;
  atomic {
    if
    :: heldBy == me -> heldBy = NONE
    :: else
    fi;
    done++;
    seen = 0; seenSerial = 0; mine = 0; rounds = 0
  }
}

active proctype kernel() {
end:
  do
  :: inFlight && kind != LIVE -> inFlight = false
  od
}

#ifdef HELD_IGNORED
#define IS_SETTLED (!inFlight)
#else
#define IS_SETTLED (!inFlight && heldBy == NONE)
#endif

/* Whether somebody has to look after a thread that is gone. */
#define IS_OVER (kind == LIVE || (kind == ENDED && IS_SETTLED))

/* Takes the index over to recover it, if nothing has changed since it was seen; see recover(). */
inline takeOver(as) {
  atomic { serials++; mine = serials };
  atomic {
    if
    :: kind == seen && serial == seenSerial -> kind = as; serial = mine; has = true
    :: else
    fi
  }
}

/* What is left of it was seen to: the index is free, or waits for the kernel or for its thread. */
inline settle() {
  atomic {
    if
    :: IS_SETTLED -> kind = FREE
    :: else -> kind = ENDED
    fi;
    has = false
  }
}

active proctype home() {
  byte seen, seenSerial, mine;
  bool has;
end:
  do
#ifdef LEFT_ALONE
  :: gone && IS_OVER ->
#else
  :: (gone && IS_OVER) || (kind == BY_OTHER && otherGone) ->
#endif
     atomic { seen = kind; seenSerial = serial };
     if
     :: (seen == LIVE || seen == ENDED) && gone -> takeOver(BY_HOME)
     :: seen == BY_OTHER && otherGone -> takeOver(BY_HOME)
     :: else
     fi;
     if
     :: has -> settle()
     :: else
     fi;
     atomic { seen = 0; seenSerial = 0; mine = 0 }
  od
}

active proctype other() {
  byte seen, seenSerial, mine;
  bool has;
end:
  do
  :: gone && IS_OVER ->
     atomic { seen = kind; seenSerial = serial };
     if
     :: (seen == LIVE || seen == ENDED) && gone -> takeOver(BY_OTHER)
     :: else
     fi;
     if
     :: has ->
        if
        :: true -> settle()
        :: true -> otherGone = true; break
        fi
     :: else
     fi;
     atomic { seen = 0; seenSerial = 0; mine = 0 }
  od
}

init {
  byte who;
  atomic {
    for (who : 0 .. THREADS - 1) { run thread(who) }
    who = 0
  };
  done == THREADS;
  timeout;
  assert(gone && IS_VACANT(kind))
}
