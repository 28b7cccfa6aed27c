// Two processes that work together: shared memory, the second CPU, and an end with the first.
#ifndef ANNULUS_BENCH_PAIR_H
#define ANNULUS_BENCH_PAIR_H

#include "peer.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static inline void *share(size_t bytes) {
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    die("mmap: %s", strerror(errno));
  return memory;
}

// Forks; 0 in the partner, which moves itself to the second of the CPUs that `cpus=` names.
static inline pid_t start_partner(int argc, char **argv) {
  pid_t child = fork();
  if (child < 0)
    die("fork: %s", strerror(errno));
  if (child > 0)
    return child;
  // It must not outlive a killed parent: it may spin for ever.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char *comma = strchr(text_option(argc, argv, "cpus", ""), ',');
  if (comma != NULL) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(comma + 1), &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
      die("sched_setaffinity %s: %s", comma + 1, strerror(errno));
  }
  return 0;
}

#endif
