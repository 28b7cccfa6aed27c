// Requests that do nothing, through liburing: fill `depth`, one system call, reap all.
// The same work as bench/subjects/uring/nop-annulus.ts.
#include "ring.h"

static void nop_batch(struct io_uring *ring, unsigned depth) {
  for (unsigned token = 0; token < depth; token++) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (sqe == NULL)
      die("the submission queue is full at %u of %u", token, depth);
    io_uring_prep_nop(sqe);
    sqe->user_data = token;
  }
  int submitted = io_uring_submit_and_wait(ring, depth);
  if (submitted != (int)depth)
    die("io_uring_submit_and_wait(%u) returned %d", depth, submitted);

  uint64_t tokens = 0;
  for (unsigned reaped = 0; reaped < depth;) {
    struct io_uring_cqe *cqe;
    unsigned head, batch = 0;
    io_uring_for_each_cqe(ring, head, cqe) {
      if (cqe->res != 0)
        die("nop completed with %d, expected 0", cqe->res);
      tokens += cqe->user_data;
      batch++;
    }
    io_uring_cq_advance(ring, batch);
    reaped += batch;
  }
  if (tokens != (uint64_t)depth * (depth - 1) / 2)
    die("a token is missing or doubled");
}

int main(int argc, char **argv) {
  unsigned depth = (unsigned)number_option(argc, argv, "depth", NULL);
  struct meter meter = meter_new(argc, argv, 4096);
  struct bench_ring bench;
  ring_open(&bench, depth);
  do
    nop_batch(&bench.ring, depth);
  while (meter_tick(&meter, depth));
  ring_report(&bench, &meter);
  io_uring_queue_exit(&bench.ring);
  return 0;
}
