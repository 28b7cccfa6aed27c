#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Values of the io_uring ABI, here because old systems lack the header that defines them. */
enum { ENTER_GETEVENTS = 1, ENTER_SQ_WAKEUP = 2, ENTER_EXT_ARG = 8, ENTER_REGISTERED_RING = 16 };
enum { NEED_WAKEUP = 1, NEED_GETEVENTS = 2 | 4 /* overflow, taskrun */, CQ_EVENTFD_DISABLED = 1 };
enum { CQE_BYTES = 16, CQE_FLAGS_WORD = 3, CQE_F_MORE = 2, CQE_F_NOTIF = 8 };
enum { CQE_F_SKIP = 32, CQE_F_32 = 32768, REGISTER_SYNC_CANCEL = 24, CANCEL_ALL_ANY = 1 | 4 };
enum { YIELDS_FD = 1 << 29, PIPE = 1 << 28, SKIPPED = 1 << 27, NOTICE = 1 << 26 }; /* holds.ts */
#define USE_REGISTERED_RING (1u << 31)

/* One step of waiting for requests to end, and how long for those the kernel cannot cancel. */
enum { DRAIN_STEP_MS = 20, DRAIN_TIMEOUT_MS = 2000 };

/* A ring without a descriptor is named by its index among those the thread has registered. */
static int name_of(const annulus_ring *ring) {
  return ring->fd < 0 ? ~ring->fd : ring->fd;
}

static long enter(const annulus_ring *ring, unsigned count, unsigned wait, unsigned flags,
                  const uint64_t arg[3]) {
  if (ring->fd < 0) flags |= ENTER_REGISTERED_RING;
  return syscall(SYS_io_uring_enter, name_of(ring), count, wait, flags, arg, arg ? 24 : 0);
}

int annulus_ring_init(annulus_ring *ring, int fd, annulus_mapping *rings, annulus_mapping *control,
                      const int32_t *layout) {
  char *base = rings->base;
  int64_t cqes_end = layout[CQES] + (int64_t)layout[CQ_ENTRIES] * layout[CQE_SIZE];
  if (layout[CQES] < 0 || layout[CQ_ENTRIES] <= 0 || layout[CQE_SIZE] <= 0) return -EINVAL;
  if ((uint64_t)cqes_end > rings->length || control->length < CONTROL_WORDS * 4) return -EINVAL;
  *ring = (annulus_ring){.fd = fd, .rings = rings, .cqes = base + layout[CQES], .control_page = control,
                         .control = control->base, .cq_entries = (uint32_t)layout[CQ_ENTRIES],
                         .cqe_size = (uint32_t)layout[CQE_SIZE], .kind = (uint32_t)layout[KIND]};
  for (int i = SQ_HEAD; i <= CQ_FLAGS; i++) {
    if (layout[i] < 0 || (size_t)layout[i] + 4 > rings->length) return -EINVAL;
    ring->word[i] = (uint32_t *)(base + layout[i]);
  }
  /* Kernels before 5.8 have no such word; theirs is written where nobody looks. */
  if (layout[CQ_FLAGS] == 0) ring->word[CQ_FLAGS] = (uint32_t *)control->base + CONTROL_UNUSED;
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
  /* The entries must be visible before the tail, and that before a polling thread's flag is read. */
  __atomic_store_n(ring->word[SQ_TAIL], prepared, __ATOMIC_SEQ_CST);
  uint32_t pending = prepared - acquire(ring, SQ_HEAD);
  uint32_t needs = __atomic_load_n(ring->word[SQ_FLAGS], __ATOMIC_SEQ_CST);
  unsigned flags = (needs & NEED_GETEVENTS ? ENTER_GETEVENTS : 0) |
                   (needs & NEED_WAKEUP ? ENTER_SQ_WAKEUP : 0);
  if (pending == 0 && (needs & NEED_GETEVENTS) == 0) return;
  long consumed = enter(ring, pending, 0, flags, NULL);
  ring->control[CONTROL_ENTERS]++;
  /* EINTR, EAGAIN and EBUSY leave the entries queued: the next turn tries again. */
  ring->control[CONTROL_ERROR] = consumed < 0 ? errno : 0;
  if (consumed > 0) ring->control[CONTROL_SUBMITTED] += (int32_t)consumed;
}

/* Closes the descriptors that come with a completion nobody waits for. */
static void close_yielded(const annulus_ring *ring, const int32_t *cqe) {
  if (cqe[1] < 0 || cqe[2] < 0) return;
  if ((cqe[1] & YIELDS_FD) != 0) close(cqe[2]);
  /* The kernel has written both ends to the table, which is pinned until the completion is reaped. */
  const int32_t *table;
  memcpy(&table, ring->control + CONTROL_PIPES, sizeof table);
  if ((cqe[1] & PIPE) == 0 || table == NULL) return;
  close(table[2 * (cqe[1] & ~PIPE)]);
  close(table[2 * (cqe[1] & ~PIPE) + 1]);
}

/* Discards ready completions and returns how many requests they end: none by those of tags.ts. */
static int32_t discard_completions(annulus_ring *ring) {
  uint32_t head = *ring->word[CQ_HEAD], tail = acquire(ring, CQ_TAIL);
  int32_t ended = 0;
  while (head != tail) {
    int32_t *cqe = (int32_t *)(ring->cqes + (head & (ring->cq_entries - 1)) * ring->cqe_size);
    uint32_t flags = (uint32_t)cqe[CQE_FLAGS_WORD];
    if ((flags & CQE_F_SKIP) == 0) close_yielded(ring, cqe);
    if ((cqe[1] & NOTICE) != 0 && (flags & CQE_F_NOTIF) == 0) flags |= CQE_F_MORE; /* perhaps */
    if (cqe[1] >= 0 && cqe[1] != SKIPPED && (flags & (CQE_F_MORE | CQE_F_SKIP)) == 0) ended++;
    int wide = (flags & CQE_F_32) != 0 && ring->cqe_size == CQE_BYTES;
    cqe[CQE_FLAGS_WORD] = CQE_F_SKIP; /* see cqueue.ts */
    if (wide) cqe[CQE_BYTES / 4 + CQE_FLAGS_WORD] = CQE_F_SKIP;
    head += 1 + (uint32_t)wide;
  }
  /* Release: the kernel may overwrite the entries only after they were read. */
  __atomic_store_n(ring->word[CQ_HEAD], head, __ATOMIC_RELEASE);
  return ended;
}

int annulus_ring_drain(annulus_ring *ring) {
  /* Entries not consumed never run, but a poller runs all it was shown, and moves the head later. */
  uint32_t consumed = acquire(ring, ring->kind == KIND_POLLED ? SQ_TAIL : SQ_HEAD);
  int32_t left = (int32_t)(consumed - (uint32_t)ring->control[CONTROL_ENDED]);
  /* Some of those may count as ended all the same: rather wait too long than too short. */
  int32_t unseen = (int32_t)((uint32_t)ring->control[CONTROL_SKIPPED_END] - consumed);
  left += ring->control[CONTROL_LATE] + (unseen > 0 ? ring->control[CONTROL_SKIPPED] : 0);
  int64_t step[2] = {0, DRAIN_STEP_MS * 1000000};
  /* struct io_uring_sync_cancel_reg: address, fd -1 and flags, time limit */
  uint64_t cancel[8] = {0, (uint64_t)CANCEL_ALL_ANY << 32 | 0xffffffff, 0, (uint64_t)step[1]};
  /* struct io_uring_getevents_arg: signal mask, its size, time limit */
  uint64_t arg[3] = {0, 0, (uint64_t)(uintptr_t)step};
  uint32_t sync_cancel = REGISTER_SYNC_CANCEL | (ring->fd < 0 ? USE_REGISTERED_RING : 0);
  for (int waited = 0; (left -= discard_completions(ring)) > 0; waited += DRAIN_STEP_MS) {
    if (waited >= DRAIN_TIMEOUT_MS || ring->kind == KIND_MEMBER) return -ETIMEDOUT;
    syscall(SYS_io_uring_register, name_of(ring), sync_cancel, cancel, 1);
    enter(ring, 0, 1, ENTER_GETEVENTS | ENTER_EXT_ARG | ENTER_SQ_WAKEUP, arg);
  }
  ring->control[CONTROL_ENDED] = (int32_t)consumed;
  return 0;
}

void annulus_ring_destroy(annulus_ring *ring) {
  if (ring->fd >= 0) close(ring->fd); /* a registered index ends with the thread */
  annulus_mapping_release(ring->rings);
  annulus_mapping_release(ring->control_page);
  free(ring);
}
