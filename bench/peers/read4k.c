// Random 4 KiB reads of a hot file through liburing: fill `depth`, one system call, reap all. With
// fixed=1 into registered memory; with poll=1 the kernel's poller submits, without system calls.
// The same work as bench/subjects/uring/read4k-annulus.ts.
#include "pages.h"
#include "ring.h"

#include <fcntl.h>

// Pages compared word by word before only both ends are looked at, as in the JavaScript subject.
enum { THOROUGH_READS = 4096 };

struct reader {
  struct io_uring *ring;
  int fd;
  unsigned depth;
  bool fixed, polled;
  uint32_t next;
  uint8_t *memory;
  uint32_t order[ORDER_LENGTH];
};

static uint32_t page_of(const struct reader *reader, uint32_t slot) {
  return reader->order[(reader->next + slot) & (ORDER_LENGTH - 1)];
}

static void check(const struct reader *reader, const struct io_uring_cqe *cqe) {
  if (cqe->res != PAGE_BYTES)
    die("read returned %d, expected %d", cqe->res, PAGE_BYTES);
  uint32_t slot = (uint32_t)cqe->user_data;
  uint32_t page = page_of(reader, slot);
  const uint32_t *words = (const uint32_t *)(reader->memory + (size_t)slot * PAGE_BYTES);
  if (reader->next < THOROUGH_READS ? !page_matches_fully(words, page) : !page_matches(words, page))
    die("slot %u does not hold page %u", slot, page);
}

static void read_batch(struct reader *reader) {
  struct io_uring *ring = reader->ring;
  for (unsigned slot = 0; slot < reader->depth; slot++) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (sqe == NULL)
      die("the submission queue is full at %u of %u", slot, reader->depth);
    uint8_t *memory = reader->memory + (size_t)slot * PAGE_BYTES;
    uint64_t position = (uint64_t)page_of(reader, slot) * PAGE_BYTES;
    if (reader->fixed)
      io_uring_prep_read_fixed(sqe, reader->fd, memory, PAGE_BYTES, position, 0);
    else
      io_uring_prep_read(sqe, reader->fd, memory, PAGE_BYTES, position);
    sqe->user_data = slot;
  }
  int submitted =
      reader->polled ? io_uring_submit(ring) : io_uring_submit_and_wait(ring, reader->depth);
  // The poller may take entries before the library counts them.
  if (reader->polled ? submitted < 0 : submitted != (int)reader->depth)
    die("submitting %u requests returned %d", reader->depth, submitted);
  for (unsigned reaped = 0; reaped < reader->depth;) {
    struct io_uring_cqe *cqe;
    unsigned head, batch = 0;
    io_uring_for_each_cqe(ring, head, cqe) {
      check(reader, cqe);
      batch++;
    }
    io_uring_cq_advance(ring, batch);
    reaped += batch;
  }
  reader->next += reader->depth;
}

int main(int argc, char **argv) {
  static struct reader reader;
  reader.depth = (unsigned)number_option(argc, argv, "depth", NULL);
  reader.fixed = number_option(argc, argv, "fixed", "0") == 1;
  reader.polled = number_option(argc, argv, "poll", "0") == 1;
  const char *file = text_option(argc, argv, "file", NULL);
  reader.fd = open(file, O_RDONLY | O_CLOEXEC);
  if (reader.fd < 0)
    die("open %s: %s", file, strerror(errno));
  reader.memory = aligned_alloc(PAGE_BYTES, (size_t)reader.depth * PAGE_BYTES);
  if (reader.memory == NULL)
    die("no memory for %u pages", reader.depth);
  page_order(reader.order);

  struct meter meter = meter_new(argc, argv, 4096);
  struct bench_ring bench;
  if (reader.polled)
    ring_open_polled(&bench, reader.depth);
  else
    ring_open(&bench, reader.depth);
  reader.ring = &bench.ring;
  struct iovec vector = {reader.memory, (size_t)reader.depth * PAGE_BYTES};
  int registered = reader.fixed ? io_uring_register_buffers(reader.ring, &vector, 1) : 0;
  if (registered < 0)
    die("io_uring_register_buffers: %s", strerror(-registered));
  do
    read_batch(&reader);
  while (meter_tick(&meter, reader.depth));
  ring_report(&bench, &meter);
  io_uring_queue_exit(&bench.ring);
  return 0;
}
