// What the one-way channel cases send; see bench/subjects/support/payload.ts.
#ifndef ANNULUS_BENCH_PAYLOAD_H
#define ANNULUS_BENCH_PAYLOAD_H

#include "peer.h"

enum { MESSAGE_WORDS = 16, MESSAGE_BYTES = 64, BLOCK_BYTES = 65536, STAMP_EVERY = 1024 };

static inline void write_message(uint32_t *words, uint32_t sequence) {
  for (uint32_t i = 0; i < MESSAGE_WORDS - 1; i++)
    words[i] = sequence + i;
  words[MESSAGE_WORDS - 1] = sequence * 15 + 105;
}

static inline void check_message(const uint32_t *words, uint32_t sequence) {
  uint32_t sum = 0;
  for (int i = 0; i < MESSAGE_WORDS - 1; i++)
    sum += words[i];
  if (words[0] != sequence || sum != words[MESSAGE_WORDS - 1])
    die("message %u is wrong", sequence);
}

// A block of `bytes` bytes; the first word of each page carries its number.
struct block {
  size_t bytes;
  uint32_t words[BLOCK_BYTES / 4];
};

static inline void block_init(struct block *block, size_t bytes) {
  block->bytes = bytes;
  for (uint32_t i = 0; i < bytes / 4; i++)
    block->words[i] = i * UINT32_C(0x9e3779b9);
}

static inline void block_stamp(struct block *block, uint32_t sequence) {
  for (size_t i = 0; i < block->bytes / 4; i += STAMP_EVERY)
    block->words[i] = sequence;
}

static inline void block_check(struct block *expected, const void *bytes, uint32_t sequence) {
  block_stamp(expected, sequence);
  if (memcmp(expected->words, bytes, expected->bytes) != 0)
    die("block %u is wrong", sequence);
}

// How a subject reports: messages where they are small, bytes where they are large.
static inline void report_one_way(const struct meter *meter, size_t bytes) {
  double each = bytes <= 4096 ? 1 : (double)bytes;
  const char *unit = bytes <= 4096 ? "msg/s" : "B/s";
  printf("{\"value\": %.6f, \"unit\": \"%s\"}\n", meter_per_second(meter) * each, unit);
}

#endif
