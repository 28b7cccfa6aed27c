/*
 * What one environment (the main thread or a worker) owns: wrapped mappings, rings, event sources
 * and descriptors; and how all of it ends with the environment.
 */
#ifndef ANNULUS_ENVIRONMENT_H
#define ANNULUS_ENVIRONMENT_H

#include <node_api.h>

#include "loop.h"

/* Bounds. A closed mapping's slot is free again once its finalizer has run, so: many of them. */
enum { ANNULUS_SLOTS = 262144, ANNULUS_FDS = 65536 };

/* Pin word bit: the ArrayBuffer is gone, and the mapping goes when its last pin does. */
#define ANNULUS_DOOMED 0x40000000

typedef struct environment environment;

/* One mapping as one ArrayBuffer; its index in environment.wrappers is the region's slot. */
typedef struct wrapper {
  environment *env;         /* NULL while the slot is free */
  annulus_mapping *mapping; /* NULL once released */
  int next_free;
} wrapper;

/* One zeroed allocation: untouched pages of the tables cost nothing. */
struct environment {
  napi_env env;
  napi_async_cleanup_hook_handle hook;
  enum { RUNNING, ENDING, ENDED } state;
  annulus_ring *rings;
  annulus_source *sources;
  int next_source_id, fd_count;
  int free_slot;  /* head of the free list, 0 if empty; slot 0 means "no region" */
  int used_slots; /* high-water mark */
  int live_wrappers;
  int32_t pins[ANNULUS_SLOTS]; /* shared with JavaScript */
  wrapper wrappers[ANNULUS_SLOTS];
  int fds[ANNULUS_FDS];
};

/* Every function returns 0 or a positive result, or -errno; look-ups return NULL. */
environment *environment_create(napi_env env);

/* Wraps a mapping, taking over one reference; returns the slot. */
int environment_wrap(environment *env, annulus_mapping *mapping);
wrapper *environment_wrapper(environment *env, int slot);
void environment_unwrap(wrapper *wrapped); /* the finalizer of the ArrayBuffer */
annulus_ring *environment_ring(environment *env, int fd);
void environment_close_ring(environment *env, annulus_ring *ring);
annulus_source *environment_new_source(environment *env, napi_value callback);
annulus_source *environment_source(environment *env, int id);

#endif
