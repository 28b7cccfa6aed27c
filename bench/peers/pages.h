// Content of the hot data file and the order in which its pages are read.
// The same as bench/subjects/support/pages.ts, word by word.
#ifndef ANNULUS_BENCH_PAGES_H
#define ANNULUS_BENCH_PAGES_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PAGE_BYTES = 4096,
  PAGE_WORDS = PAGE_BYTES / 4,
  PAGES = (64 << 20) / PAGE_BYTES,
  ORDER_LENGTH = 1 << 16,
};

static inline uint32_t page_word(uint32_t page, uint32_t index) {
  if (index == 0)
    return page;
  if (index == PAGE_WORDS - 1)
    return ~page;
  return (page ^ (index * 0x9e3779b1u)) * 0x85ebca6bu;
}

static inline bool page_matches(const uint32_t *words, uint32_t page) {
  return words[0] == page && words[PAGE_WORDS - 1] == ~page;
}

static inline bool page_matches_fully(const uint32_t *words, uint32_t page) {
  for (uint32_t i = 0; i < PAGE_WORDS; i++) {
    if (words[i] != page_word(page, i))
      return false;
  }
  return true;
}

static inline void page_order(uint32_t order[ORDER_LENGTH]) {
  uint32_t state = 0x9e3779b9u;
  for (int i = 0; i < ORDER_LENGTH; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    order[i] = state % PAGES;
  }
}

#endif
