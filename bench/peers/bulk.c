// Blocks of 64 KiB through a ring in shared memory between two processes: filled from one buffer,
// copied out to another. The same loop as bench/subjects/channel/bulk64k-annulus.ts.
#define _GNU_SOURCE
#include "pair.h"
#include "payload.h"

#include <stdatomic.h>

enum { BLOCKS = 4 };

// Counts of blocks, each alone on a pair of cache lines, before the blocks.
struct ring {
  _Alignas(128) _Atomic uint64_t written;
  _Alignas(128) _Atomic uint64_t taken;
  _Alignas(4096) uint8_t blocks[BLOCKS][BLOCK_BYTES];
};

__attribute__((noreturn)) static void send_blocks(struct ring *ring) {
  static struct block source;
  block_init(&source, BLOCK_BYTES);
  for (uint64_t sequence = 0;; sequence++) {
    while (sequence - atomic_load_explicit(&ring->taken, memory_order_acquire) == BLOCKS)
      ;
    block_stamp(&source, (uint32_t)sequence);
    memcpy(ring->blocks[sequence % BLOCKS], source.words, BLOCK_BYTES);
    atomic_store_explicit(&ring->written, sequence + 1, memory_order_release);
  }
}

int main(int argc, char **argv) {
  struct meter meter = meter_new(argc, argv, 64);
  struct ring *ring = share(sizeof *ring);
  pid_t child = start_partner(argc, argv);
  if (child == 0)
    send_blocks(ring);

  static struct block expected, sink;
  block_init(&expected, BLOCK_BYTES);
  uint64_t sequence = 0;
  do {
    while (atomic_load_explicit(&ring->written, memory_order_acquire) == sequence)
      ;
    memcpy(sink.words, ring->blocks[sequence % BLOCKS], BLOCK_BYTES);
    atomic_store_explicit(&ring->taken, sequence + 1, memory_order_release);
    block_check(&expected, sink.words, (uint32_t)sequence);
    sequence++;
  } while (meter_tick(&meter, 1));
  kill(child, SIGKILL);
  report_one_way(&meter, BLOCK_BYTES);
  return 0;
}
