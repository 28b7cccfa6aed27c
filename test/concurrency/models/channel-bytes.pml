/*
 * What the bytes of a channel go through: claims, commits, abandoned claims, batched publication, and
 * the unused end of a lap in memory that is not mirrored: src/channel/sending.ts (reserve, advance,
 * reserveInNextLap, move), receiving.ts (accept, acceptWrap, passGap, release). Checked by SPIN: the
 * messages received are those committed, whole and in order, and neither side waits for ever.
 *
 * The sender sends MESSAGES messages of 1 to CAPACITY cells; the first cell says how many. It may claim
 * cells, write rubbish into them and abort, or commit less than it has claimed, once. Messages are
 * published one or several at once. Positions run from 0 to twice the capacity, and each side works
 * with the last position it has seen of the other until that does not suffice; then it waits until
 * it changes. How it sleeps is in channel-wakeup.pml.
 *
 * Memory is weak, as with the processors that promise least. What is stored plainly stays in a store
 * buffer, which it leaves in any order (`buffered`), and what is loaded plainly may have been loaded
 * at any time since the last acquiring load (`early`, one cell at a time). Only Atomics order them.
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   TAIL_FIRST      the tail is published before the message is written
 *   RELAXED_TAIL    the tail may become visible before what was written before it
 *   RELAXED_LOAD    cells may have been read before the tail that uncovers them is loaded
 *   HEAD_FIRST      the head is published before the message is read
 *   HALF_RANGE      positions run to the capacity only: full looks like empty
 *   BELIEVE_FREE    the free space seen is not reduced by what was committed since
 *   ABORT_COMMITS   an abandoned claim stays part of what is sent
 *   ABORT_REWINDS   an abandoned claim takes back to what is published, not to what is committed
 *   LENGTH_AT_CLAIM the length is written when claiming, and not again when less is committed
 *   GAP_KEPT_BACK   the sender leaves the end of a lap unused, but does not publish that
 *   GAP_KEPT        the receiver steps over the unused end of a lap, but does not give it back
 *   WRAP_LATE       where a lap ends is stored after the tail that enters the next one
 *   WRAP_STALE      where a lap ends is stored only if its end is left unused
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef CAPACITY
#define CAPACITY 3
#endif

#ifdef HALF_RANGE
#define RANGE CAPACITY
#else
#define RANGE (2 * CAPACITY)
#endif

#define NONE 255
#define RUBBISH 254

/* Shared memory: the cells of the ring and behind them the word that says where a lap has ended; the
 * positions; whether the sender has ended. */
#define WRAP CAPACITY
byte data[CAPACITY + 1];
byte tail;
byte head;
bool ended;

/* Whether the memory is mirrored. */
bool mirrored;

/* Stores on their way to memory, and how many; a cell loaded ahead, and what it said. */
byte buffered[CAPACITY + 1] = NONE;
byte stores;
byte earlyCell = NONE;
byte early;

#define USED(from, to) ((to + RANGE - from) % RANGE)
#define OFFSET(position) ((position) % CAPACITY)

/* What the cells of a message say: which one it is, and in its first cell its length. */
#define CELL(number, length) ((number) * (CAPACITY + 1) + length)

proctype weakCell(byte cell) {
end:
  do
  :: atomic {
       buffered[cell] != NONE ->
       data[cell] = buffered[cell];
       buffered[cell] = NONE;
       stores--
     }
  :: atomic { earlyCell == NONE -> earlyCell = cell; early = data[cell] }
  od
}

inline store(cell, value) {
  if
  :: buffered[cell] == NONE -> stores++
  :: else
  fi;
  buffered[cell] = value
}

/* A plain load of the receiver. */
inline load(cell) {
  if
  :: earlyCell == cell -> value = early; earlyCell = NONE; early = 0
  :: else -> value = data[cell]
  fi
}

/* Atomics.exchange of the tail: everything stored before is in memory. */
inline publish() {
#ifdef RELAXED_TAIL
  tail = own;
#else
  atomic { stores == 0 -> tail = own };
#endif
  pending = false
}

#ifdef BELIEVE_FREE
#define FREE (CAPACITY - USED(seen, ownThen))
#else
#define FREE (CAPACITY - USED(seen, own))
#endif

inline waitForRoom() {
  if
  :: pending -> publish()
  :: else
  fi;
  atomic { head != seen -> seen = head; ownThen = own }
}

/* Leaves the end of a lap unused. */
inline leaveLap() {
  atomic {
#ifndef WRAP_LATE
    store(WRAP, OFFSET(own));
#endif
    size = OFFSET(own);
    own = (own + CAPACITY - OFFSET(own)) % RANGE
  };
#ifndef GAP_KEPT_BACK
  publish();
#endif
#ifdef WRAP_LATE
  atomic { store(WRAP, size) };
#endif
  size = 0
}

/* Makes `length` cells at the own position the sender's to write. */
inline reserve(length) {
  do
  :: !mirrored && OFFSET(own) + length > CAPACITY && FREE >= CAPACITY - OFFSET(own) -> leaveLap()
  :: (mirrored || OFFSET(own) + length <= CAPACITY) && FREE >= length -> break
  :: else -> waitForRoom()
  od
}

/* Writes a message, or rubbish. */
inline fill(from, number, length) {
  atomic {
    for (index : 0 .. length - 1) {
      if
      :: number == NONE -> store(OFFSET(from + index), RUBBISH)
      :: else -> store(OFFSET(from + index), CELL(number, 0))
      fi
    }
    index = 0;
    if
    :: number == NONE
#ifdef LENGTH_AT_CLAIM
    :: number != NONE && claimedMore -> store(OFFSET(from), CELL(number, length + 1))
    :: number != NONE && !claimedMore -> store(OFFSET(from), CELL(number, length))
#else
    :: number != NONE -> store(OFFSET(from), CELL(number, length))
#endif
    fi
  }
}

proctype sender() {
  byte sent, own, seen, ownThen, length, size, index;
  bool pending, hasAborted, claimedMore;
  do
  :: sent < MESSAGES ->
     select(length : 1 .. CAPACITY);
     reserve(length);
     if
     :: !hasAborted ->
        hasAborted = true;
        fill(own, NONE, length);
#ifdef ABORT_COMMITS
        own = (own + length) % RANGE;
#endif
#ifdef ABORT_REWINDS
        own = tail;
#endif
        length = 0
     :: !hasAborted && length > 1 ->
        hasAborted = true;
        fill(own, NONE, length);
        length--;
        claimedMore = true
     :: true -> skip
     fi;
     if
     :: length > 0 ->
#ifndef TAIL_FIRST
        fill(own, sent, length);
#endif
        atomic {
          claimedMore = false;
          own = (own + length) % RANGE;
#ifndef WRAP_STALE
          if
          :: !mirrored && OFFSET(own) == 0 -> store(WRAP, CAPACITY)
          :: else
          fi;
#endif
          pending = true
        };
        if
        :: true -> skip
        :: true -> publish()
        fi;
#ifdef TAIL_FIRST
        fill(own + RANGE - length, sent, length);
#endif
        sent++
     :: else
     fi;
     length = 0
  :: else -> break
  od;
  if
  :: pending -> publish()
  :: else
  fi;
  ended = true
}

/* Content in one piece. */
#define REACHES_END (OFFSET(own) + USED(own, seen) >= CAPACITY)
#define SEEN (mirrored || !REACHES_END -> USED(own, seen) : lapEnd - OFFSET(own))

/* Steps over the unused end of a lap, if that is what comes next. */
inline passGap() {
  if
  :: !mirrored && lapEnd != CAPACITY && OFFSET(own) == lapEnd ->
     own = (own + CAPACITY - OFFSET(own)) % RANGE;
     lapEnd = CAPACITY;
     passed = true
  :: else
  fi
}

/* Takes a tail that is loaded. */
inline accept() {
#ifndef RELAXED_LOAD
  earlyCell = NONE;
  early = 0;
#endif
  if
  :: !mirrored && REACHES_END && seen != own ->
     load(WRAP);
     assert(value >= OFFSET(own) && value <= CAPACITY);
     lapEnd = value;
     value = 0;
     passGap()
  :: else
  fi
}

inline giveBack() {
  head = own;
  passed = false
}

inline take(from, length) {
  index = 1;
  do
  :: index < length ->
     atomic {
       load(OFFSET(from + index));
       assert(value == CELL(received, 0));
       value = 0
     };
     index++
  :: else -> break
  od;
  index = 0
}

proctype receiver() {
  byte received, own, seen, lapEnd = CAPACITY, length, index, value;
  bool passed;
  do
  :: seen != own ->
     atomic {
       load(OFFSET(own));
       length = value - CELL(received, 0);
       value = 0;
       assert(length >= 1 && length <= SEEN)
     };
#ifndef HEAD_FIRST
     take(own, length);
#endif
     atomic {
       own = (own + length) % RANGE;
       if
       :: OFFSET(own) == 0 -> lapEnd = CAPACITY
       :: else -> passGap()
       fi
     };
     giveBack();
#ifdef HEAD_FIRST
     take(own + RANGE - length, length);
#endif
     received++;
     length = 0
  :: seen == own ->
     if
     :: atomic { tail != seen -> seen = tail; accept() };
#ifndef GAP_KEPT
        if
        :: passed -> giveBack()
        :: else
        fi
#else
        passed = false
#endif
     :: ended && tail == own -> break
     fi
  od;
  assert(received == MESSAGES)
}

init {
  byte cell;
  atomic {
    if
    :: mirrored = false
    :: mirrored = true
    fi;
    for (cell : 0 .. CAPACITY) { run weakCell(cell) }
    cell = 0;
    run sender();
    run receiver()
  }
}
