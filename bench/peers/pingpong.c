// Round trips between two processes that spin on two shared words: what the machine itself allows.
#define _GNU_SOURCE
#include "peer.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

// Each word alone on a pair of cache lines: the prefetcher fetches lines in pairs.
struct shared {
  _Alignas(128) _Atomic uint64_t ping;
  _Alignas(128) _Atomic uint64_t pong;
};

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) < 0)
    die("sched_setaffinity %d: %s", cpu, strerror(errno));
}

__attribute__((noreturn)) static void echo(struct shared *shared, const char *cpus) {
  // The echo must not outlive a killed parent: it would spin for ever.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char *comma = strchr(cpus, ',');
  if (comma != NULL)
    pin(atoi(comma + 1));
  for (uint64_t expected = 1;; expected++) {
    while (atomic_load_explicit(&shared->ping, memory_order_acquire) != expected)
      ;
    atomic_store_explicit(&shared->pong, ~expected, memory_order_release);
  }
}

int main(int argc, char **argv) {
  const char *cpus = text_option(argc, argv, "cpus", "");
  struct meter meter = meter_new(argc, argv, 1024);
  struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    die("mmap: %s", strerror(errno));
  pid_t child = fork();
  if (child < 0)
    die("fork: %s", strerror(errno));
  if (child == 0)
    echo(shared, cpus);

  uint64_t sequence = 0;
  do {
    sequence++;
    atomic_store_explicit(&shared->ping, sequence, memory_order_release);
    while (atomic_load_explicit(&shared->pong, memory_order_acquire) != ~sequence)
      ;
  } while (meter_tick(&meter, 1));
  kill(child, SIGKILL);
  printf("{\"value\": %.6f, \"unit\": \"us\"}\n", meter_microseconds_each(&meter));
  return 0;
}
