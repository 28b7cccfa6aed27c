/*
 * How the two ends of a channel sleep and wake each other, and how a side learns that the other has
 * ended or died: src/channel/end.ts (block, fallAsleep, wakeUp, announce), link.ts (sleep, wake),
 * sending.ts (advance, store, finish), receiving.ts (publish, finished). Checked by SPIN: nobody waits
 * for ever, everything published before an end or a death is received, and a sender that publishes
 * after the receiver has closed is told at once.
 *
 * The sender sends ITEMS items through CAPACITY cells, publishing one or several at once, and ends;
 * the receiver takes one or several at once, until the end or until it chooses to close. They wait by
 * descriptors or by a futex, the sender for one or more free cells; one wait of each may end early
 * (time-out, AbortSignal), or one side is killed between any two of its steps. Each side works with the
 * last position it has seen of the other until that does not suffice. What the items are made of is in
 * channel-bytes.pml.
 *
 * A position and the wish for attention are one word, so that they change in one atomic operation. An
 * end is stored in a word of its own; without Atomics it could stay in a store buffer (`delayed`).
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   LOAD_AND_STORE  whoever moves loads its word, then stores it: a wish between them is lost
 *   FLAG_BY_STORE   whoever goes to sleep loads the other's word, then stores it with the wish
 *   CHECK_FIRST     whoever goes to sleep looks for work, then asks for attention
 *   CHECK_SEEN      whoever goes to sleep looks at the position it has seen, not at the word
 *   END_CHECK_FIRST whoever goes to sleep looks for the end, then asks for attention
 *   WAKE_IF_EMPTY   the sender wakes the receiver only if it thinks that the ring was empty
 *   BLIND_FUTEX     the futex sleeps without comparing the word
 *   TAKE_LATE       whoever wakes up looks for work, then takes the signal
 *   SLEEP_ON_BATCH  the sender goes to sleep before it has published all that is committed
 *   END_ON_BATCH    the sender ends before it has published all that is committed
 *   END_FORGETS     the sender publishes the rest when it ends, and wakes nobody by that
 *   END_QUIETLY     the end is stored, but a sleeping receiver is not woken
 *   END_SAME_WORD   the word of a futex does not change when a side ends
 *   END_LATE        the sleeping receiver is woken, then the end is stored
 *   PLAIN_END       the end may become visible after the exchange that follows it
 *   LAST_LOOK_FIRST the receiver looks for the last items, then whether the sender has ended
 *   CLOSE_QUIETLY   the receiver closes, but a sleeping sender is not woken
 *   CLOSE_UNMARKED  the receiver closes, but does not ask for the attention of the next publication
 */
#ifndef ITEMS
#define ITEMS 3
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif

/* Sides by index. */
#define SENDER 0
#define RECEIVER 1
#define PEER (1 - side)

/* Shared memory: each side's word, a position and the other's wish for attention; who has ended. */
byte position[2];
bool attention[2];
bool closed[2];

/* Whether the store of a side's end is on its way to memory. */
bool delayed[2];

/* The kernel's: how they wait, and whether a wait may end early; whether a side's descriptor is
 * readable, it sleeps on the futex, was killed, and is gone. */
bool byFutex;
bool mayEndEarly;
bool signal[2];
bool asleep[2];
bool killed[2];
bool gone[2];

/* For the check alone: whether the receiver has closed completely. */
bool left;

/* What a side can work on: free cells for the sender, items for the receiver. */
#define USED(from, to) (to - from)
#define WORK (side == SENDER -> CAPACITY - USED(seen, own) : USED(own, seen))

/* What every atomic operation waits for: that what was stored before has reached memory. */
#ifdef PLAIN_END
#define STORED true
#else
#define STORED !delayed[side]
#endif

proctype storeBuffer(byte side) {
end:
  atomic { delayed[side] -> closed[side] = true; delayed[side] = false }
}

inline look() { seen = position[PEER] }

/* Tells the other side, which has asked for attention. */
inline wake() {
  if
  :: noticed && byFutex -> asleep[PEER] = false
  :: noticed && !byFutex -> signal[PEER] = true
  :: else
  fi;
  noticed = false
}

/* Atomics.exchange of this side's word; wakes the other if it has asked for it. */
inline publish() {
#ifdef LOAD_AND_STORE
  noticed = attention[side];
#endif
  atomic {
    STORED;
#ifndef LOAD_AND_STORE
    noticed = attention[side];
#endif
    assert(side == RECEIVER || !left || noticed || told);
    told = told || (noticed && closed[PEER]);
    position[side] = own;
    attention[side] = false
  };
#ifdef WAKE_IF_EMPTY
  noticed = noticed && (side == RECEIVER || USED(seen, own) == pending);
#endif
  pending = 0;
  wake()
}

/* Whether nothing more will ever come; if so, what came last. */
inline checkEnd() {
  over = closed[PEER] || peerGone;
#ifndef LAST_LOOK_FIRST
  if
  :: over && side == RECEIVER -> look()
  :: else
  fi
#endif
}

/* Atomics.or of the other's word: asks for attention and looks, in one step. */
inline flag() {
#if defined(CHECK_FIRST) || defined(FLAG_BY_STORE)
  look();
#endif
  atomic {
    STORED;
#ifdef FLAG_BY_STORE
    position[PEER] = seen;
#endif
    attention[PEER] = true;
    word = position[PEER];
#if !defined(CHECK_FIRST) && !defined(CHECK_SEEN)
    seen = word
#endif
  }
}

/* Atomics.wait, which compares and goes to sleep in one step; or a wait for descriptors. */
inline sleep() {
  if
  :: byFutex ->
#ifdef BLIND_FUTEX
     asleep[side] = true;
#else
     asleep[side] = attention[PEER] && position[PEER] == word;
#endif
     if
     :: !asleep[side]
     :: mayEndEarly && !endedEarly -> endedEarly = true; asleep[side] = false
     fi
  :: else ->
#ifdef TAKE_LATE
     signal[side] = false;
#endif
     if
     :: signal[side]
     :: gone[PEER] -> peerGone = true
     :: mayEndEarly && !endedEarly -> endedEarly = true
     fi;
#ifndef TAKE_LATE
     signal[side] = false
#endif
  fi
}

/* Waits until there is work, or nothing more will come. */
inline block() {
#ifndef SLEEP_ON_BATCH
  if
  :: pending > 0 -> publish()
  :: else
  fi;
#endif
  do
  :: true ->
     look();
     if
     :: WORK < need -> checkEnd()
     :: else
     fi;
     if
     :: WORK >= need || over -> break
     :: else
     fi;
#ifdef END_CHECK_FIRST
     checkEnd();
#endif
     flag();
#ifndef END_CHECK_FIRST
     checkEnd();
#endif
     if
     :: WORK < need && !over -> sleep()
     :: else
     fi;
     word = 0;
     atomic { STORED; attention[PEER] = false } /* Atomics.and */
  od
}

inline storeEnd() {
#ifdef PLAIN_END
  delayed[side] = true
#else
  atomic { STORED; closed[side] = true }
#endif
}

/* Asks the other side to look when it next moves, and wakes it if it sleeps. Only a futex needs the
 * word to change: the wish of who waits by a descriptor stays, for whoever replaces this side. */
inline announceEnd() {
#ifndef CLOSE_UNMARKED
  atomic { STORED; attention[PEER] = true };
#endif
  left = left || side == RECEIVER;
#ifdef END_SAME_WORD
  noticed = attention[side];
#else
  atomic { STORED; noticed = attention[side]; attention[side] = attention[side] && !byFutex };
#endif
#ifdef END_QUIETLY
  noticed = noticed && side == RECEIVER;
#endif
#ifdef CLOSE_QUIETLY
  noticed = noticed && side == SENDER;
#endif
  wake()
}

proctype sender() {
  byte side = SENDER;
  byte own, seen, pending, word, need;
  bool over, peerGone, noticed, endedEarly, told;
  {
    do
    :: own < ITEMS ->
       if
       :: need = 1
       :: own + CAPACITY <= ITEMS -> need = CAPACITY
       fi;
       if
       :: WORK < need -> block()
       :: else
       fi;
       if
       :: WORK < need -> break /* the receiver is gone */
       :: else
       fi;
       own = own + need;
       pending = pending + need;
       if
       :: pending < CAPACITY -> skip
       :: true -> publish()
       fi
    :: else -> break
    od;
#ifdef END_FORGETS
    atomic { position[SENDER] = own; attention[SENDER] = false };
#elif !defined(END_ON_BATCH)
    if
    :: pending > 0 -> publish()
    :: else
    fi;
#endif
    pending = 0;
#ifdef END_LATE
    announceEnd();
    storeEnd()
#else
    storeEnd();
    announceEnd()
#endif
  } unless { killed[SENDER] };
end:
  atomic { killed[SENDER] && !delayed[SENDER] -> gone[SENDER] = true }
}

proctype receiver() {
  byte side = RECEIVER;
  byte own, seen, pending, word, need = 1;
  bool over, peerGone, noticed, endedEarly, quits, told;
  {
    do
    :: true ->
       if
       :: WORK == 0 -> block()
       :: else
       fi;
       if
       :: WORK == 0 -> break
       :: else
       fi;
       own++;
       pending++;
       if
       :: WORK > 0 -> skip
       :: true -> publish()
       fi
    :: true -> quits = true; break
    od;
    assert(quits || peerGone || own == ITEMS);
    assert(quits || !peerGone || own == position[SENDER]);
    storeEnd();
    announceEnd()
  } unless { killed[RECEIVER] };
end:
  atomic { killed[RECEIVER] && !delayed[RECEIVER] -> gone[RECEIVER] = true }
}

/* One side at most is killed. */
proctype killer() {
  if
  :: killed[SENDER] = true
  :: killed[RECEIVER] = true
  :: skip
  fi
}

init {
  atomic {
    run storeBuffer(SENDER);
    run storeBuffer(RECEIVER);
    run sender();
    run receiver();
    if
    :: byFutex = true; mayEndEarly = true
    :: mayEndEarly = true
    :: run killer() /* there are descriptors to tell */
    fi
  }
}
