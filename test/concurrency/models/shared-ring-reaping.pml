/*
 * How the threads of a shared ring reap the kernel's completions and pass them to whoever asked:
 * src/uring/shared/claims.ts (claim, copy, send, markDelivered, moveDelivered), inbox.ts (hasRoom, put,
 * finishPut, peek, pass), reaper.ts (tellClaim, tellOrdered), members.ts (recover). Checked by SPIN: each
 * completion is told once, as the kernel wrote it, those of one request in their order, and none
 * is left behind.
 *
 * Thread 0 has asked for everything, but perhaps for the first completion, which is then thread 1's.
 * REAPERS others reap; or one of them and thread 0 itself, and the other may be terminated where V8
 * can end it, and is then recovered by somebody. The kernel writes
 * COMPLETIONS completions, as many as there is room for in its queue of QUEUE entries. A thread waits
 * where it finds nothing; how it sleeps is in shared-ring-wakeup.pml.
 *
 * Memory is weak where Atomics matter: without them, the store of a mark of delivery may stay in a
 * store buffer (`lateSlot`), where only its own thread sees it.
 *
 * Each of these, defined, takes away something the protocol needs, and must make the check fail:
 *   HEAD_FIRST      the head is moved before the completions are copied
 *   STORE_HEAD      the head is moved by a store instead of a compare-and-exchange
 *   SHORT_POSITIONS positions go round with the queue: another lap's head passes for the same
 *   COUNT_KEPT      the count of the last claim is not cleared when the next one is begun
 *   COUNT_LATE      it is cleared after the completions of the next one are copied
 *   TICKET_BY_LOAD  tickets of an inbox are taken by a load and a store instead of Atomics.add
 *   FILL_LATE       an entry of an inbox is marked before it is filled
 *   PASS_FIRST      an entry of an inbox is given back before it is read
 *   NO_ROOM         completions are claimed without a look at the inbox
 *   NO_SLACK        the limit of an inbox leaves no room for what others have claimed meanwhile
 *   MARK_FIRST      a claim is marked as delivered before it is sent
 *   RELAXED_MARK    a thread may look at DELIVERED and other marks before its own mark is visible
 *   NO_WINDOW       claims may begin more than the queue's length before what is delivered
 *   MOVE_OWN        a thread moves DELIVERED over its own claim, and does not look further
 *   TICKETS_FIRST   the inbox's tickets are looked at before DELIVERED
 *   TELL_PAST_GAP   completions are told although an entry of the inbox is just being filled
 *   SENT_UNCOUNTED  a claim does not say how much of it is sent, for whoever recovers
 *   NOTE_LATE       a thread may be terminated between a ticket and the note that its entry is filled
 *   UNFINISHED      nobody marks the entry that a terminated thread has filled
 *   UNMOVED         whoever recovers does not move DELIVERED if the claim is marked already
 */
#ifndef COMPLETIONS
#define COMPLETIONS 3
#endif
#ifndef REAPERS
#define REAPERS 2
#endif
#ifndef CLAIM_MAX
#define CLAIM_MAX 1
#endif
#define QUEUE 2
#define THREADS (REAPERS + 1)
#define INBOX (REAPERS * CLAIM_MAX)
#define NONE 255

#ifdef NO_SLACK
#define FULL (INBOX - 1)
#else
#define FULL (INBOX - REAPERS * CLAIM_MAX)
#endif

/* The kernel's queue. */
byte cqHead;
byte cqTail;
byte cqes[QUEUE] = NONE;

/* Marks of claims that are delivered, and up to where all are. */
byte marks[QUEUE];
byte delivered;

/* The inbox of thread 0. */
byte inboxTail;
byte inboxHead;
byte inboxMark[INBOX];
byte inboxEntry[INBOX] = NONE;

/* Whether the first completion is thread 1's, and how often it was told. */
bool firstIsOf1;
byte toldTo1;
#define IS_OF_1(completion) (firstIsOf1 && (completion) == 0)

/* Marks of delivery on their way to memory. */
byte lateSlot[THREADS] = NONE;
byte lateMark[THREADS];

/* What a thread has claimed, and how far that is sent, told, and marked. */
typedef Claim {
  byte entries[CLAIM_MAX];
  byte count;
  byte first;
  byte sent;
  byte kept;
  byte put;
  bool marked
}

active proctype kernel() {
end:
  do
  :: atomic {
       cqTail < COMPLETIONS && cqTail - cqHead < QUEUE ->
       cqes[cqTail % QUEUE] = cqTail;
       cqTail++
     }
  od
}

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

#ifdef NO_ROOM
#define HAS_ROOM(level) true
#else
#define HAS_ROOM(level) (me == 0 || (level) <= FULL)
#endif
#ifdef NO_WINDOW
#define WINDOW(head) QUEUE
#else
#define WINDOW(head) (QUEUE + delivered - (head))
#endif
#ifdef SHORT_POSITIONS
#define IS_SAME(a, b) ((a) % QUEUE == (b) % QUEUE)
#else
#define IS_SAME(a, b) ((a) == (b))
#endif

/* Whether a claim would find something. */
#define CLAIMABLE (cqTail > cqHead && WINDOW(cqHead) > 0 && HAS_ROOM(inboxTail - inboxHead))

/* The last claim is over. */
inline clear() {
#ifndef COUNT_KEPT
  own.count = 0
#else
  skip
#endif
}

/* Copies completions into the own claim, which is none yet. The thread may end on the way. */
inline copy() {
#ifndef COUNT_LATE
  clear();
#endif
  d_step {
    for (index : 0 .. size - 1) { own.entries[index] = cqes[(head + index) % QUEUE] }
    index = 0
  }
  mayEnd();
  if
  :: !ended ->
     d_step {
#ifdef COUNT_LATE
       clear();
#endif
       own.first = head;
       own.sent = 0;
       own.kept = 0;
       own.marked = false
     }
  :: else -> size = 0
  fi
}

/* What is not used any more need not be told apart. */
inline forget() {
#ifndef COUNT_KEPT
  for (index : 0 .. CLAIM_MAX - 1) { own.entries[index] = 0 }
  index = 0;
  own.first = 0
#else
  skip
#endif
}

/* Claims what there is at a moment. The three loads are one step: the exchange fails if the head has
 * moved, and older values of the other two are smaller. */
inline claim() {
  d_step {
    head = cqHead;
    if
    :: cqTail - head > CLAIM_MAX -> size = CLAIM_MAX
    :: else -> size = cqTail - head
    fi;
    if
    :: size > WINDOW(head) -> size = WINDOW(head)
    :: else
    fi
  }
  if
  :: size > 0 && HAS_ROOM(inboxTail - inboxHead) ->
#ifdef HEAD_FIRST
     atomic {
       if
       :: cqHead == head -> cqHead = head + size
       :: else -> size = 0
       fi
     }
     copy();
     own.count = size;
#else
     copy();
     atomic {
       if
       :: ended
#ifdef STORE_HEAD
       :: !ended -> cqHead = head + size; own.count = size
#else
       :: !ended && IS_SAME(cqHead, head) -> cqHead = head + size; own.count = size
       :: else -> forget()
#endif
       fi
     }
#endif
  :: else
  fi;
  atomic { head = 0; size = 0 }
}

/* Marks the entry of the inbox that is filled and not marked. */
inline finishPut() {
  d_step {
    if
    :: own.put > 0 -> inboxMark[(own.put - 1) % INBOX] = own.put; own.put = 0
    :: else
    fi
  }
}

/* Puts what is left of a claim for thread 0 into its inbox. The plain stores after a ticket go with it. */
inline send() {
  index = own.sent;
  do
  :: index < own.count && !ended && IS_OF_1(own.entries[index]) -> index++
  :: index < own.count && !ended && !IS_OF_1(own.entries[index]) ->
#ifdef TICKET_BY_LOAD
     ticket = inboxTail;
     inboxTail = ticket + 1;
#else
     atomic { ticket = inboxTail; inboxTail++ };
#endif
#ifdef FILL_LATE
     inboxMark[ticket % INBOX] = ticket + 1;
#endif
#ifdef NOTE_LATE
     mayEnd();
     if
     :: ended -> break
     :: else
     fi;
#endif
     d_step {
       inboxEntry[ticket % INBOX] = own.entries[index];
       own.put = ticket + 1;
       ticket = 0;
       index++;
       own.sent = index
     }
     mayEnd();
     if
     :: !ended -> finishPut(); mayEnd()
     :: else
     fi
  :: else -> break
  od;
  index = 0
}

/* Marks a claim as delivered. */
inline mark() {
  atomic {
    lateSlot[me] == NONE ->
    for (index : 1 .. own.count - 1) { marks[(own.first + index) % QUEUE] = own.first }
    index = 0;
#ifdef RELAXED_MARK
    lateSlot[me] = own.first % QUEUE;
    lateMark[me] = own.first + own.count;
#else
    marks[own.first % QUEUE] = own.first + own.count;
#endif
    own.marked = true
  }
}

/* Moves DELIVERED on over all claims that are marked. */
inline moveDelivered() {
  head = delivered;
  do
  :: true ->
     d_step {
       if
       :: lateSlot[me] == head % QUEUE -> size = lateMark[me]
       :: else -> size = marks[head % QUEUE]
       fi
     }
     if
     :: size > head && size - head <= QUEUE ->
        atomic {
          if
          :: delivered == head -> delivered = size; head = size
          :: else -> head = delivered
          fi
        }
#ifdef MOVE_OWN
        break
#endif
     :: else -> break
     fi
  od;
  atomic { head = 0; size = 0 }
}

/* Where V8 may end a thread: a function, a turn of a loop, or a call of a built-in begins. */
inline mayEnd() {
  if
  :: mayTerminate -> ended = true; mayTerminate = false
  :: true -> skip
  fi
}

inline deliver() {
#ifdef MARK_FIRST
  mark();
#endif
  mayEnd();
  if
  :: me > 0 -> send()
  :: else
  fi;
#ifndef MARK_FIRST
  if
  :: !ended -> mark(); mayEnd()
  :: else
  fi;
#endif
  if
  :: !ended -> moveDelivered()
  :: else
  fi
}

/* Takes what is a thread's own of its claim. */
inline keep() {
  d_step {
    do
    :: own.kept < own.count ->
       if
       :: IS_OF_1(own.entries[own.kept]) -> assert(toldTo1 == 0); toldTo1++
       :: else
       fi;
       own.kept++
    :: else -> break
    od
  }
}

/* Another thread looks after the claim of one that was terminated. */
inline recover() {
  ended = false;
#ifdef SENT_UNCOUNTED
  own.sent = 0;
#endif
#ifndef UNFINISHED
  finishPut();
#endif
  if
  :: own.count == 0
  :: own.count > 0 -> send(); keep()
  fi;
  if
  :: own.count > 0 && !own.marked -> mark(); moveDelivered()
#ifndef UNMOVED
  :: own.count > 0 && own.marked -> moveDelivered()
#else
  :: own.count > 0 && own.marked
#endif
  :: own.count == 0
  fi
}

proctype reaper(byte me; bool mayTerminate) {
  byte head, size, index, ticket;
  bool ended;
  Claim own;
end:
  do
  :: CLAIMABLE ->
     claim();
     if
     :: !ended && own.count > 0 && !own.marked -> deliver()
     :: else
     fi;
     if
     :: ended -> recover(); break
     :: else -> keep()
     fi
  od
}

/* Whether the next entry of the inbox can be taken. */
#define FILLED (inboxMark[inboxHead % INBOX] == inboxHead + 1)

/* Takes what is in the inbox, as far as its entries are filled. */
inline sweep() {
  do
  :: FILLED ->
#ifdef PASS_FIRST
     inboxHead++;
     d_step {
       index = inboxEntry[(inboxHead - 1) % INBOX];
       assert(index != NONE && !has[index]);
       has[index] = true;
       inboxEntry[(inboxHead - 1) % INBOX] = NONE;
       index = 0
     }
#else
     d_step {
       index = inboxEntry[inboxHead % INBOX];
       assert(index != NONE && !has[index]);
       has[index] = true;
       inboxEntry[inboxHead % INBOX] = NONE;
       index = 0;
       inboxHead++
     }
#endif
  :: else -> break
  od
}

/* Who asked for everything: all of it in order. */
proctype owner(bool reaps) {
  byte me, head, size, index, ticket, told;
  bool ended, mayTerminate;
  Claim own;
  bool has[COMPLETIONS];
  do
  :: told < COMPLETIONS ->
     if
     :: (reaps && CLAIMABLE) || FILLED || (delivered > told && inboxTail == inboxHead)
     fi;
     if
     :: reaps ->
        claim();
        if
        :: own.count > 0 && !own.marked -> deliver()
        :: else
        fi
     :: else
     fi;
     d_step {
       do
       :: own.kept < own.count ->
          index = own.entries[own.kept];
          assert(index != NONE && !has[index]);
          has[index] = true;
          if
          :: IS_OF_1(index) -> assert(toldTo1 == 0); toldTo1++
          :: else
          fi;
          own.kept++
       :: else -> break
       od;
       index = 0
     }
#ifdef TICKETS_FIRST
     ticket = inboxTail;
     head = delivered;
#else
     head = delivered;
     ticket = inboxTail;
#endif
     sweep();
#ifdef TELL_PAST_GAP
     ticket = 0;
#endif
     atomic {
       do
       :: inboxHead >= ticket && told < head -> assert(has[told] || IS_OF_1(told)); told++
       :: else -> break
       od;
       head = 0;
       ticket = 0
     }
  :: else -> break
  od
}

init {
  byte who;
  if
  :: true -> firstIsOf1 = true
  :: true -> skip
  fi;
  atomic {
    for (who : 0 .. REAPERS) { run storeBuffer(who) }
    if
    :: true -> run owner(true); run reaper(1, true)
    :: true -> run owner(false); for (who : 1 .. REAPERS) { run reaper(who, false) }
    fi;
    who = 0
  }
}
