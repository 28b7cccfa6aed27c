/*
 * How the threads of a shared ring hand requests to the kernel through one queue: src/uring/shared/
 * submission.ts (handOver, finish, reclaim, moveTail), ring.ts (submit). Checked by SPIN: the kernel gets each
 * request once, as it was filled in, those of one thread in their order, and no enter ends within a
 * run; and no run is forgotten.
 *
 * The first thread hands over RUNS runs of 1 to ENTRIES entries, each further one a run less. They
 * fill an entry again only once the kernel has consumed what was in it. One thread may be terminated
 * where V8 can end it: not between an atomic operation and the plain stores behind it. Another thread
 * then marks the run it has reserved, if it has not, moves the tail and enters.
 *
 * Memory is weak where Atomics matter: without them, the store of a mark may stay in a store buffer
 * (`lateSlot`), where only its own thread sees it.
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   FILL_LATE       a run is marked before its entries are filled
 *   MARK_FIRST      a run is marked before its indices are in the array
 *   RELAXED_MARK    a thread may look at the tail and at other marks before its own is visible
 *   RESERVE_BY_LOAD positions are reserved by a load and a store instead of Atomics.add
 *   STORE_TAIL      the tail is moved by a load and a store instead of a compare-and-exchange
 *   MOVE_OWN        a thread moves the tail over its own run, and does not look further
 *   ENTER_IF_OWN    a thread enters only until its own runs are consumed, not those it moved over
 *   FREE_EARLY      entries are taken for free once the tail is behind them, not the head
 *   SPLIT_RUNS      every position is marked by itself, so that the tail may stop within a run
 *   NOTE_LATE       a thread may be terminated between the reservation and the note of the run
 *   NOTE_KEPT       a thread may be terminated between the mark and the end of the note
 *   UNFINISHED      nobody marks the run that a terminated thread has reserved
 *   UNRECOVERED     nobody moves the tail and enters for a thread that was terminated
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef RUNS
#define RUNS 2
#endif
#define ENTRIES 2
#define SIZE (THREADS * ENTRIES)
#define POSITIONS (THREADS * RUNS * ENTRIES + 1)
#define NONE 255

/* The kernel's queue, and what threads know of each other. */
byte sqHead;
byte sqTail;
byte array[SIZE] = NONE;
byte entries[SIZE] = NONE;
byte reserved;
byte marks[SIZE];

/* Marks on their way to memory. */
byte lateSlot[THREADS + 1] = NONE;
byte lateMark[THREADS + 1];

/* The kernel's lock, and for the check: what it got from each thread, and where runs end. */
bool entered;
byte got[THREADS];
bool runEnds[POSITIONS];

/* Runs that are reserved and not marked, as their threads have noted them. */
byte noteFirst[THREADS];
byte noteCount[THREADS];
byte noteFrom[THREADS];

bool terminated;
byte victim;
byte done;

proctype storeBuffer(byte me) {
end:
  do
  :: atomic {
       lateSlot[me] != NONE ->
       marks[lateSlot[me]] = lateMark[me];
       lateSlot[me] = NONE;
       lateMark[me] = 0
     }
  od
}

inline fillEntries() {
  d_step {
    for (index : 0 .. count - 1) { entries[me * ENTRIES + (handed + index) % ENTRIES] = handed + index }
    index = 0
  }
}

inline fillArray(who, from) {
  d_step {
    for (index : 0 .. count - 1) {
      array[(first + index) % SIZE] = who * ENTRIES + (from + index) % ENTRIES;
#ifdef SPLIT_RUNS
      marks[(first + index) % SIZE] = first + index + 1
#else
      if
      :: index > 0 -> marks[(first + index) % SIZE] = first
      :: else
      fi
#endif
    }
    index = 0
  }
}

inline mark() {
#ifdef RELAXED_MARK
  atomic { lateSlot[me] == NONE -> lateSlot[me] = first % SIZE; lateMark[me] = first + count }
#elif defined(SPLIT_RUNS)
  skip
#else
  marks[first % SIZE] = first + count
#endif
}

/* With the operation before it, as plain stores. */
inline note() {
  noteFirst[me] = first;
  noteFrom[me] = handed;
  noteCount[me] = count
}

/* V8 may end the thread here. */
inline mayEnd() {
  if
  :: atomic { !terminated -> terminated = true; victim = me } goto ended
  :: true -> skip
  fi
}

/* Moves the kernel's tail on over all runs that are marked. */
inline moveTail() {
  tail = sqTail;
  do
  :: true ->
     d_step {
       if
       :: lateSlot[me] == tail % SIZE -> end = lateMark[me]
       :: else -> end = marks[tail % SIZE]
       fi
     }
     if
     :: end > tail && end - tail <= SIZE ->
#ifdef STORE_TAIL
        sqTail = end;
        tail = end;
#else
        atomic {
          if
          :: sqTail == tail -> sqTail = end; tail = end; moved = end
          :: else -> tail = sqTail
          fi
        }
#endif
#ifdef MOVE_OWN
        break
#endif
     :: else -> break
     fi
  od;
  tail = 0;
  end = 0
}

/* io_uring_enter: the kernel loads the tail, reads what lies before it, then moves its head. */
inline enter() {
  atomic {
    !entered ->
    entered = true;
    tail = sqTail;
    assert(runEnds[tail] && tail >= sqHead)
  };
  d_step {
    for (end : sqHead .. tail - 1) {
      index = array[end % SIZE];
      assert(index != NONE && entries[index] == got[index / ENTRIES]);
      got[index / ENTRIES]++
    }
    sqHead = tail;
    entered = false;
    index = 0;
    tail = 0;
    end = 0
  }
}

/* Enters until the kernel has consumed what this thread is to see to, as far as it can have it. */
inline enterAll(last) {
  do
#ifdef ENTER_IF_OWN
  :: sqHead < last && sqTail != sqHead -> enter()
#else
  :: (sqHead < last || sqHead < moved) && sqTail != sqHead -> enter()
#endif
  :: else -> break
  od;
  moved = 0
}

/* Entries the kernel has consumed are free again, run by run. */
inline reclaim() {
  atomic {
#ifdef FREE_EARLY
    runs > 0 && sqTail >= runEnd[0] ->
#else
    runs > 0 && sqHead >= runEnd[0] ->
#endif
    freed = runTail[0];
    runEnd[0] = runEnd[1];
    runTail[0] = runTail[1];
    runs--;
    runEnd[runs] = 0;
    runTail[runs] = 0
  }
}

proctype thread(byte me; byte runsToDo) {
  byte handed, freed, round, count, first, index, tail, end, moved;
  byte runs, runEnd[ENTRIES + 1], runTail[ENTRIES + 1];
  do
  :: round < runsToDo ->
     if
     :: count = 1
     :: count = ENTRIES
     fi;
     do
     :: handed + count - freed <= ENTRIES -> break
     :: else -> reclaim()
     od;
#ifndef FILL_LATE
     fillEntries();
#endif
#ifdef RESERVE_BY_LOAD
     first = reserved;
     atomic { reserved = first + count; note() };
#elif defined(NOTE_LATE)
     atomic { first = reserved; reserved = reserved + count };
     runEnds[first + count] = true;
     mayEnd();
     note();
#else
     atomic { first = reserved; reserved = reserved + count; note() };
#endif
     runEnds[first + count] = true;
#ifdef MARK_FIRST
     mark();
#endif
     mayEnd();
     fillArray(me, handed);
     mayEnd();
#ifndef MARK_FIRST
#ifdef NOTE_KEPT
     mark();
     mayEnd();
     noteCount[me] = 0;
#else
     atomic { mark(); noteCount[me] = 0 }
#endif
#else
     noteCount[me] = 0;
#endif
#ifdef FILL_LATE
     fillEntries();
#endif
     atomic {
       handed = handed + count;
       runEnd[runs] = first + count;
       runTail[runs] = handed;
       runs++;
       first = 0
     };
     mayEnd();
     moveTail();
     mayEnd();
     enterAll(runEnd[runs - 1]);
     count = 0;
     round++
  :: else -> break
  od;
ended:
  done++
}

/* Marks the run that a terminated thread has not. */
inline finish() {
  first = noteFirst[victim];
  count = noteCount[victim];
  if
  :: count > 0 ->
     fillArray(victim, noteFrom[victim]);
     marks[first % SIZE] = first + count;
     noteCount[victim] = 0
  :: else
  fi;
  first = 0;
  count = 0
}

/* Looks after a thread that was terminated; and waits until everything has come to the kernel. */
proctype home() {
  byte me = THREADS, index, tail, end, moved, first, count;
  bool recovered;
  do
#ifndef UNRECOVERED
  :: atomic { terminated && !recovered -> recovered = true }
#ifndef UNFINISHED
     finish();
#endif
     moveTail();
     enterAll(sqTail)
#endif
  :: atomic { done == THREADS && sqHead == reserved -> break }
  od
}

init {
  byte thread_;
  atomic {
    runEnds[0] = true;
    for (thread_ : 0 .. THREADS - 1) { run storeBuffer(thread_); run thread(thread_, RUNS - thread_) }
    thread_ = 0;
    run home()
  }
}
