// Round trips of 8 bytes through shared memory between two processes that block on an eventfd each.
#define _GNU_SOURCE
#include "pair.h"
#include "round-trips.h"

#include <stdatomic.h>
#include <sys/eventfd.h>

struct shared {
  _Alignas(128) _Atomic uint64_t ping;
  _Alignas(128) _Atomic uint64_t pong;
};

static int new_eventfd(void) {
  int fd = eventfd(0, 0);
  if (fd < 0)
    die("eventfd: %s", strerror(errno));
  return fd;
}

static void wake(int fd) {
  uint64_t one = 1;
  if (write(fd, &one, sizeof one) != sizeof one)
    die("write to an eventfd: %s", strerror(errno));
}

static void sleep_on(int fd) {
  uint64_t count;
  if (read(fd, &count, sizeof count) != sizeof count)
    die("read from an eventfd: %s", strerror(errno));
}

int main(int argc, char **argv) {
  struct round_trips trips = round_trips_new(argc, argv, 16);
  struct shared *shared = share(sizeof *shared);
  int there = new_eventfd(), back = new_eventfd();
  pid_t child = start_partner(argc, argv);
  if (child == 0) {
    for (uint64_t expected = 1;; expected++) {
      sleep_on(there);
      if (atomic_load(&shared->ping) != expected)
        die("expected ping %llu", (unsigned long long)expected);
      atomic_store(&shared->pong, ~expected);
      wake(back);
    }
  }
  uint64_t sequence = 0;
  do {
    atomic_store(&shared->ping, ++sequence);
    wake(there);
    sleep_on(back);
    if (atomic_load(&shared->pong) != ~sequence)
      die("expected pong %llu", (unsigned long long)sequence);
  } while (round_trips_tick(&trips));
  kill(child, SIGKILL);
  round_trips_report(&trips);
  return 0;
}
