// What every C subject needs: options, a clock, the report.
// The protocol is the one of bench/subjects/support: key=value arguments, one line of JSON.
#ifndef ANNULUS_BENCH_PEER_H
#define ANNULUS_BENCH_PEER_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

// The option `name`, or `fallback` when it is not given; NULL as fallback makes it required.
static inline const char *text_option(int argc, char **argv, const char *name,
                                      const char *fallback) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
      return argv[i] + length + 1;
  }
  if (fallback == NULL)
    die("the option %s=... is missing", name);
  return fallback;
}

static inline double number_option(int argc, char **argv, const char *name, const char *fallback) {
  const char *text = text_option(argc, argv, name, fallback);
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0')
    die("the option %s must be a number, got \"%s\"", name, text);
  return value;
}

static inline double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// User and system time of this process.
static inline double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// Counts work inside a timed window after a warm-up; see bench/subjects/support/meter.ts.
struct meter {
  double warmup, window;
  uint64_t stride, count, next_look, start_count;
  double deadline, start_time, elapsed, start_cpu, cpu;
  enum { METER_IDLE, METER_WARMUP, METER_WINDOW } phase;
};

static inline struct meter meter_new(int argc, char **argv, uint64_t stride) {
  return (struct meter){
      .warmup = number_option(argc, argv, "warmup", "0.3"),
      .window = number_option(argc, argv, "window", "0.5"),
      .stride = stride,
  };
}

// Counts `units`; false when the window is over.
static inline bool meter_tick(struct meter *meter, uint64_t units) {
  meter->count += units;
  if (meter->count < meter->next_look)
    return true;
  meter->next_look = meter->count + meter->stride;
  double now = now_seconds();
  if (meter->phase == METER_IDLE) {
    meter->phase = METER_WARMUP;
    meter->deadline = now + meter->warmup;
  }
  if (now < meter->deadline)
    return true;
  if (meter->phase == METER_WARMUP) {
    meter->phase = METER_WINDOW;
    meter->start_time = now;
    meter->start_cpu = cpu_seconds();
    meter->start_count = meter->count;
    meter->deadline = now + meter->window;
    return true;
  }
  meter->elapsed = now - meter->start_time;
  meter->cpu = cpu_seconds() - meter->start_cpu;
  return false;
}

static inline double meter_per_second(const struct meter *meter) {
  return (double)(meter->count - meter->start_count) / meter->elapsed;
}

static inline double meter_cpu_nanoseconds_each(const struct meter *meter) {
  return meter->cpu * 1e9 / (double)(meter->count - meter->start_count);
}

static inline double meter_microseconds_each(const struct meter *meter) {
  return meter->elapsed * 1e6 / (double)(meter->count - meter->start_count);
}

#endif
