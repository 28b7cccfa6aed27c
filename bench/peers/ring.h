// A liburing ring with the flags that annulus asks for, or the most of them this kernel takes.
#ifndef ANNULUS_BENCH_RING_H
#define ANNULUS_BENCH_RING_H

#include "peer.h"

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

// Older headers lack some of these; the kernel is the judge of what is supported.
enum {
  RING_CQSIZE = 1 << 3,
  RING_SUBMIT_ALL = 1 << 7,
  RING_COOP_TASKRUN = 1 << 8,
  RING_TASKRUN_FLAG = 1 << 9,
  RING_SINGLE_ISSUER = 1 << 12,
  RING_NO_SQARRAY = 1 << 16,
};

struct bench_ring {
  struct io_uring ring;
  unsigned flags;
};

// A liburing whose header lacks NO_SQARRAY does not know the flag: io_uring_queue_init_params() would
// fill the index array that is not there, which is to say overwrite the ring's own head and tail.
// Its io_uring_queue_mmap() does not, nor does submission (liburing 2.3), so the set-up call is made
// here and only the mapping is left to the library. ring_is_sane() checks that this particular
// liburing behaves like that; if not, the ladder goes on without the flag and the report says so.
static inline int ring_init(struct io_uring *ring, unsigned entries, unsigned flags) {
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  params.flags = flags;
  params.sq_thread_idle = (flags & IORING_SETUP_SQPOLL) ? 1000 : 0;
  params.cq_entries = entries * 4;
#ifndef IORING_SETUP_NO_SQARRAY
  if (flags & RING_NO_SQARRAY) {
    int fd = (int)syscall(__NR_io_uring_setup, entries, &params);
    if (fd < 0)
      return -errno;
    int result = io_uring_queue_mmap(fd, &params, ring);
    if (result < 0) {
      close(fd);
      return result;
    }
    ring->features = params.features;
    ring->flags = params.flags;
    return 0;
  }
#endif
  return io_uring_queue_init_params(entries, ring, &params);
}

// Whether three requests, submitted together on a fresh ring, come back once each.
static inline bool ring_is_sane(unsigned flags) {
  struct io_uring ring;
  if (ring_init(&ring, 8, flags) < 0)
    return false;
  for (uint64_t i = 0; i < 3; i++) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL)
      return false;
    io_uring_prep_nop(sqe);
    sqe->user_data = 1ull << (i * 8);
  }
  uint64_t sum = 0;
  if (io_uring_submit(&ring) == 3 && *ring.sq.khead == 3 && *ring.sq.ktail == 3) {
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&ring, &cqe) == 0) {
      sum += cqe->user_data;
      io_uring_cqe_seen(&ring, cqe);
    }
  }
  io_uring_queue_exit(&ring);
  return sum == 0x010101;
}

static inline void ring_refused(int result) {
  if (result == -EPERM || result == -ENOSYS) {
    printf("{\"skip\": \"io_uring is refused: %s\"}\n", strerror(-result));
    exit(0);
  }
  die("io_uring_setup: %s", strerror(-result));
}

static inline void ring_open(struct bench_ring *bench, unsigned depth) {
  const unsigned base = RING_CQSIZE | RING_SUBMIT_ALL | RING_COOP_TASKRUN | RING_TASKRUN_FLAG;
  const unsigned ladder[] = {
      base | RING_SINGLE_ISSUER | RING_NO_SQARRAY,
      base | RING_SINGLE_ISSUER,
      base,
      RING_CQSIZE | RING_SUBMIT_ALL,
      RING_CQSIZE,
  };
  int result = -EINVAL;
  for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
    if ((ladder[i] & RING_NO_SQARRAY) && !ring_is_sane(ladder[i]))
      continue;
    bench->flags = ladder[i];
    result = ring_init(&bench->ring, depth < 8 ? 8 : depth, ladder[i]);
    if (result == 0)
      return;
    if (result != -EINVAL)
      break;
  }
  ring_refused(result);
}

// A ring whose requests a thread of the kernel takes, as long as it is awake. It has room for two
// batches: completions of the first may come before its entries are given back.
static inline void ring_open_polled(struct bench_ring *bench, unsigned depth) {
  const unsigned base =
      IORING_SETUP_SQPOLL | RING_CQSIZE | RING_SUBMIT_ALL;
  const unsigned direct = RING_SINGLE_ISSUER | RING_NO_SQARRAY;
  bench->flags = ring_is_sane(direct) ? base | direct : base;
  int result = ring_init(&bench->ring, depth < 4 ? 8 : depth * 2, bench->flags);
  if (result < 0)
    ring_refused(result);
}

static inline void ring_report(const struct bench_ring *bench, const struct meter *meter) {
  static const struct {
    unsigned bit;
    const char *name;
  } names[] = {
      {IORING_SETUP_SQPOLL, "SQPOLL"},
      {RING_CQSIZE, "CQSIZE"},
      {RING_SUBMIT_ALL, "SUBMIT_ALL"},
      {RING_COOP_TASKRUN, "COOP_TASKRUN"},
      {RING_TASKRUN_FLAG, "TASKRUN_FLAG"},
      {RING_SINGLE_ISSUER, "SINGLE_ISSUER"},
      {RING_NO_SQARRAY, "NO_SQARRAY"},
  };
  printf("{\"value\": %.3f, \"unit\": \"op/s\", \"cpu\": %.3f, \"flags\": \"",
         meter_per_second(meter), meter_cpu_nanoseconds_each(meter));
  const char *separator = "";
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if ((bench->flags & names[i].bit) == 0)
      continue;
    printf("%s%s", separator, names[i].name);
    separator = "|";
  }
  puts("\"}");
}

#endif
