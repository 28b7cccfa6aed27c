// What the one-way channel cases send; see bench/subjects/support/payload.ts.
#ifndef ANNULUS_BENCH_PAYLOAD_H
#define ANNULUS_BENCH_PAYLOAD_H

#include "peer.h"

enum { MESSAGE_NUMBERS = 8, MESSAGE_BYTES = 64, BLOCK_BYTES = 65536, STAMP_EVERY = 1024 };

static inline void write_message(double *numbers, double sequence) {
  for (int i = 0; i < MESSAGE_NUMBERS - 1; i++)
    numbers[i] = sequence + i;
  numbers[MESSAGE_NUMBERS - 1] = sequence * 7 + 21;
}

static inline void check_message(const double *numbers, double sequence) {
  double a = numbers[0] + numbers[1], b = numbers[2] + numbers[3], c = numbers[4] + numbers[5];
  if (numbers[0] != sequence || a + b + (c + numbers[6]) != numbers[7])
    die("message %.0f is wrong", sequence);
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
