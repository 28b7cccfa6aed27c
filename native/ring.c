#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Values of the io_uring ABI, here because old systems lack the header that defines them. */
enum { ENTER_GETEVENTS = 1, ENTER_EXT_ARG = 8, NEED_GETEVENTS = 2 | 4 /* overflow, taskrun */ };
enum { CQE_BYTES = 16, CQE_FLAGS_WORD = 3, CQE_F_MORE = 2, CQE_F_SKIP = 32, CQE_F_32 = 32768 };
enum { CQ_EVENTFD_DISABLED = 1 };
enum { YIELDS_FD = 1 << 29, PIPE = 1 << 28 }; /* of user_data's high word: src/uring/holds.ts */
enum { REGISTER_SYNC_CANCEL = 24, CANCEL_ALL_ANY = 1 | 4 };

enum { DRAIN_STEP_MS = 20 }; /* one step of waiting for requests to end */

int annulus_ring_init(annulus_ring *ring, int fd, annulus_mapping *rings, annulus_mapping *control,
                      const int32_t *layout) {
  char *base = rings->base;
  int64_t cqes_end = layout[CQES] + (int64_t)layout[CQ_ENTRIES] * layout[CQE_SIZE];
  if (layout[CQES] < 0 || layout[CQ_ENTRIES] <= 0 || layout[CQE_SIZE] <= 0) return -EINVAL;
  if ((uint64_t)cqes_end > rings->length || control->length < CONTROL_WORDS * 4) return -EINVAL;
  for (int i = SQ_HEAD; i <= CQ_FLAGS; i++) {
    if (layout[i] < 0 || (size_t)layout[i] + 4 > rings->length) return -EINVAL;
    ring->word[i] = (uint32_t *)(base + layout[i]);
  }
  /* Kernels before 5.8 have no such word; theirs is written where nobody looks. */
  if (layout[CQ_FLAGS] == 0) ring->word[CQ_FLAGS] = (uint32_t *)control->base + CONTROL_UNUSED;
  ring->fd = fd;
  ring->rings = rings;
  ring->control_page = control;
  ring->control = control->base;
  ring->cqes = base + layout[CQES];
  ring->cq_entries = (uint32_t)layout[CQ_ENTRIES];
  ring->cqe_size = (uint32_t)layout[CQE_SIZE];
  return 0;
}

/*
 * Acquire: pairs with the kernel's release stores of the SQ head and the CQ tail. The CQ head and
 * the SQ tail are only ever written by this thread.
 */
static uint32_t acquire(const annulus_ring *ring, int word) {
  return __atomic_load_n(ring->word[word], __ATOMIC_ACQUIRE);
}

static int has_completions(const annulus_ring *ring) {
  return acquire(ring, CQ_TAIL) != *ring->word[CQ_HEAD];
}

int annulus_ring_has_news(const annulus_ring *ring) {
  int error = ring->control[CONTROL_ERROR];
  int transient = error == 0 || error == EINTR || error == EAGAIN || error == EBUSY;
  return !transient || has_completions(ring);
}

int annulus_ring_has_work(const annulus_ring *ring) {
  uint32_t prepared = (uint32_t)ring->control[CONTROL_PREPARED];
  return prepared != acquire(ring, SQ_HEAD) || has_completions(ring);
}

/*
 * Sequentially consistent: the word must be written before the CQ tail is read again. The kernel has
 * a full barrier between its store of the tail and its load of the word, so one of us sees the other.
 */
void annulus_ring_signal(annulus_ring *ring, int on) {
  __atomic_store_n(ring->word[CQ_FLAGS], on ? 0 : CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
}

void annulus_ring_turn(annulus_ring *ring) {
  uint32_t prepared = (uint32_t)ring->control[CONTROL_PREPARED];
  /* Release: the entries were filled with plain stores and must be visible before the tail. */
  __atomic_store_n(ring->word[SQ_TAIL], prepared, __ATOMIC_RELEASE);
  uint32_t pending = prepared - acquire(ring, SQ_HEAD);
  unsigned getevents = acquire(ring, SQ_FLAGS) & NEED_GETEVENTS ? ENTER_GETEVENTS : 0;
  if (pending == 0 && getevents == 0) return;
  long consumed = syscall(SYS_io_uring_enter, ring->fd, pending, 0, getevents, NULL, 0);
  ring->control[CONTROL_ENTERS]++;
  /* EINTR, EAGAIN and EBUSY leave the entries queued: the next turn tries again. */
  ring->control[CONTROL_ERROR] = consumed < 0 ? errno : 0;
  if (consumed > 0) ring->control[CONTROL_SUBMITTED] += (int32_t)consumed;
}

/* Closes the descriptors that come with a completion nobody waits for. */
static void close_yielded(const annulus_ring *ring, const int32_t *cqe) {
  if (cqe[1] < 0 || cqe[2] < 0) return;
  if ((cqe[1] & YIELDS_FD) != 0) close(cqe[2]);
  if ((cqe[1] & PIPE) == 0) return;
  /* The kernel has written both ends to the table, which is pinned until the completion is reaped. */
  uint64_t table;
  memcpy(&table, ring->control + CONTROL_PIPES, sizeof table);
  const int32_t *ends = (const int32_t *)(uintptr_t)table + 2 * (cqe[1] & ~PIPE);
  if (table == 0) return;
  close(ends[0]);
  close(ends[1]);
}

/* Discards ready completions and returns how many requests they end. */
static int32_t discard_completions(annulus_ring *ring) {
  uint32_t head = *ring->word[CQ_HEAD];
  uint32_t tail = acquire(ring, CQ_TAIL);
  int32_t ended = 0;
  while (head != tail) {
    size_t index = head & (ring->cq_entries - 1);
    const int32_t *cqe = (const int32_t *)(ring->cqes + index * ring->cqe_size);
    uint32_t flags = (uint32_t)cqe[CQE_FLAGS_WORD];
    close_yielded(ring, cqe);
    if (cqe[1] >= 0 && (flags & (CQE_F_MORE | CQE_F_SKIP)) == 0) ended++; /* see tags.ts */
    head += (flags & CQE_F_32) != 0 && ring->cqe_size == CQE_BYTES ? 2 : 1;
  }
  /* Release: the kernel may overwrite the entries only after they were read. */
  __atomic_store_n(ring->word[CQ_HEAD], head, __ATOMIC_RELEASE);
  return ended;
}

int annulus_ring_drain(annulus_ring *ring, int timeout_ms) {
  /* Entries the kernel has not consumed never run: count from the SQ head, not from PREPARED. */
  uint32_t consumed = acquire(ring, SQ_HEAD);
  int32_t left = (int32_t)(consumed - (uint32_t)ring->control[CONTROL_ENDED]);
  int64_t step[2] = {0, DRAIN_STEP_MS * 1000000};
  /* struct io_uring_sync_cancel_reg: address, fd -1 and flags, time limit */
  uint64_t cancel[8] = {0, (uint64_t)CANCEL_ALL_ANY << 32 | 0xffffffff, 0, (uint64_t)step[1]};
  /* struct io_uring_getevents_arg: signal mask, its size, time limit */
  uint64_t arg[3] = {0, 0, (uint64_t)(uintptr_t)step};
  unsigned flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
  for (int waited = 0; (left -= discard_completions(ring)) > 0; waited += DRAIN_STEP_MS) {
    if (waited >= timeout_ms) return -ETIMEDOUT;
    syscall(SYS_io_uring_register, ring->fd, REGISTER_SYNC_CANCEL, cancel, 1);
    syscall(SYS_io_uring_enter, ring->fd, 0, 1, flags, arg, sizeof arg);
  }
  ring->control[CONTROL_ENDED] = (int32_t)consumed;
  return 0;
}

void annulus_ring_destroy(annulus_ring *ring) {
  close(ring->fd);
  annulus_mapping_release(ring->rings);
  annulus_mapping_release(ring->control_page);
}
