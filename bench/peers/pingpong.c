// Round trips between two processes that spin on two shared words: what the machine itself allows.
#define _GNU_SOURCE
#include "pair.h"
#include "round-trips.h"

#include <stdatomic.h>

// Each word alone on a pair of cache lines: the prefetcher fetches lines in pairs.
struct shared {
  _Alignas(128) _Atomic uint64_t ping;
  _Alignas(128) _Atomic uint64_t pong;
};

__attribute__((noreturn)) static void echo(struct shared *shared) {
  for (uint64_t expected = 1;; expected++) {
    while (atomic_load_explicit(&shared->ping, memory_order_acquire) != expected)
      ;
    atomic_store_explicit(&shared->pong, ~expected, memory_order_release);
  }
}

int main(int argc, char **argv) {
  struct round_trips trips = round_trips_new(argc, argv, 1024);
  struct shared *shared = share(sizeof *shared);
  pid_t child = start_partner(argc, argv);
  if (child == 0)
    echo(shared);

  uint64_t sequence = 0;
  do {
    sequence++;
    atomic_store_explicit(&shared->ping, sequence, memory_order_release);
    while (atomic_load_explicit(&shared->pong, memory_order_acquire) != ~sequence)
      ;
  } while (round_trips_tick(&trips));
  kill(child, SIGKILL);
  round_trips_report(&trips);
  return 0;
}
