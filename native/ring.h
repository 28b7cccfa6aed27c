/*
 * What must be done to an io_uring while JavaScript is not running: submitting from the event loop,
 * and cancelling, draining, closing when an environment ends. Pure C: returns -errno. JavaScript
 * itself prepares and reaps in the same memory, on the same thread; the two share `control`.
 */
#ifndef ANNULUS_RING_H
#define ANNULUS_RING_H

#include <stdint.h>

#include "mapping.h"

/* Words of the control block, mirrored by CONTROL in src/sys/native.ts. */
enum {
  CONTROL_PREPARED = 0,   /* SQ tail up to which JavaScript has filled entries */
  CONTROL_ENDED = 1,      /* prepared requests that need no more waiting for; modulo 2^32 */
  CONTROL_REFERENCED = 2, /* 1 while the event loop is kept alive */
  CONTROL_ENTERS = 3,     /* io_uring_enter calls made by the pump */
  CONTROL_SUBMITTED = 4,  /* requests consumed by the pump's enters */
  CONTROL_ERROR = 5,      /* errno of the pump's last enter, 0 if it succeeded */
  CONTROL_PIPES = 6,      /* address of the table of pipes not reaped yet, in two words; or 0 */
  CONTROL_SKIPPED = 8,    /* entries before SKIPPED_END that count as ended although not consumed */
  CONTROL_SKIPPED_END = 9,
  CONTROL_LATE = 10,      /* completions that may come and end nothing: src/uring/notices.ts */
  CONTROL_UNUSED = 15,
  CONTROL_WORDS = 16
};

/* Byte offsets into the ring mapping, and more, in the order of RING_LAYOUT in src/sys/native.ts. */
enum { SQ_HEAD, SQ_TAIL, SQ_FLAGS, CQ_HEAD, CQ_TAIL, CQ_FLAGS, CQES, CQ_ENTRIES, CQE_SIZE, KIND };
enum { LAYOUT_WORDS = KIND + 1, KIND_POLLED = 1, KIND_MEMBER = 2 };

typedef struct annulus_ring {
  struct annulus_ring *next;
  void *pump; /* the source that drives it; NULL while it is driven by hand */
  int fd;       /* or ~index of a ring that is only registered with the thread */
  int event_fd; /* counts completions for the pump, which closes neither */
  annulus_mapping *rings, *control_page;
  int32_t *control;
  uint32_t *word[CQ_FLAGS + 1];
  char *cqes;
  uint32_t cq_entries, cqe_size, kind; /* RING_KIND of src/sys/native.ts */
} annulus_ring;

/* Checks the layout; takes over the descriptor and a reference to each mapping, or nothing. */
int annulus_ring_init(annulus_ring *ring, int fd, annulus_mapping *rings, annulus_mapping *control,
                      const int32_t *layout);
/* Publishes prepared entries and enters the kernel if there is a reason to. */
void annulus_ring_turn(annulus_ring *ring);
/* Whether JavaScript should run: completions are ready, or the last enter failed for good. */
int annulus_ring_has_news(const annulus_ring *ring);
/* Whether completions count into the eventfd: only while the loop may sleep. */
void annulus_ring_signal(annulus_ring *ring, int on);
/* Whether another turn would find something to submit or to reap. */
int annulus_ring_has_work(const annulus_ring *ring);
/* Cancels all and waits until it has ended; -ETIMEDOUT if the kernel may still write memory. */
int annulus_ring_drain(annulus_ring *ring);
/* Closes the descriptor, drops the mappings, frees the ring. */
void annulus_ring_destroy(annulus_ring *ring);

#endif
