// Measures round trips; see bench/subjects/support/round-trips.ts.
#ifndef ANNULUS_BENCH_ROUND_TRIPS_H
#define ANNULUS_BENCH_ROUND_TRIPS_H

#include "peer.h"

enum { TIMES_MAX = 1 << 20 };
static const double TIMED_SECONDS = 0.25;

struct round_trips {
  struct meter meter;
  bool timing;
  double until, last;
  size_t count;
  double *times;
};

static inline struct round_trips round_trips_new(int argc, char **argv, uint64_t stride) {
  struct round_trips trips = {.meter = meter_new(argc, argv, stride)};
  trips.times = malloc(TIMES_MAX * sizeof *trips.times);
  if (trips.times == NULL)
    die("malloc: %s", strerror(errno));
  return trips;
}

// Counts a round trip that has ended; false when there is nothing more to measure.
static inline bool round_trips_tick(struct round_trips *trips) {
  if (!trips->timing) {
    if (meter_tick(&trips->meter, 1))
      return true;
    trips->timing = true;
    trips->last = now_seconds();
    trips->until = trips->last + TIMED_SECONDS;
    return true;
  }
  double now = now_seconds();
  trips->times[trips->count++] = now - trips->last;
  trips->last = now;
  return now < trips->until && trips->count < TIMES_MAX;
}

static inline int compare_times(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// Coordinated omission corrected: adds the round trips that a late one kept from beginning.
static inline double *corrected(const double *sorted, size_t count, size_t *total) {
  double interval = sorted[count / 2];
  size_t room = count;
  for (size_t i = 0; i < count; i++)
    room += (size_t)(sorted[i] / interval);
  double *all = malloc(room * sizeof *all);
  if (all == NULL)
    die("malloc: %s", strerror(errno));
  *total = 0;
  for (size_t i = 0; i < count; i++) {
    all[(*total)++] = sorted[i];
    for (double late = sorted[i] - interval; late >= interval; late -= interval)
      all[(*total)++] = late;
  }
  qsort(all, *total, sizeof *all, compare_times);
  return all;
}

static inline void round_trips_report(struct round_trips *trips) {
  qsort(trips->times, trips->count, sizeof *trips->times, compare_times);
  size_t total;
  double *all = corrected(trips->times, trips->count, &total);
  printf("{\"value\": %.6f, \"unit\": \"us\", \"p50\": %.4g, \"p99\": %.4g, \"p999\": %.4g}\n",
         meter_microseconds_each(&trips->meter), all[(size_t)((double)total * 0.5)] * 1e6,
         all[(size_t)((double)total * 0.99)] * 1e6, all[(size_t)((double)total * 0.999)] * 1e6);
  free(all);
}

#endif
