/*
 * What one environment (the main thread or a worker) owns: wrapped mappings, rings, event sources
 * and descriptors; and how all of it ends with the environment.
 */
#ifndef ANNULUS_ENVIRONMENT_H
#define ANNULUS_ENVIRONMENT_H

#include <node_api.h>

#include "loop.h"

/* Bounds. The slot of a mapping that is forgotten, not closed, is free once that is collected. */
enum { ANNULUS_SLOTS = 262144, ANNULUS_FDS = 65536 };

/* Pin word bit: the ArrayBuffer is gone, and the mapping goes when its last pin does. */
#define ANNULUS_DOOMED 0x40000000

typedef struct environment environment;

/* One mapping as one ArrayBuffer; its index in environment.wrappers is the region's slot. */
typedef struct wrapper {
  environment *env;
  annulus_mapping *mapping; /* NULL once released: the slot is free */
  int next_free, released;  /* earlier buffers of the slot whose finalizers are still to run */
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
  int used_slots, live_wrappers; /* high-water mark; finalizers to run */
  int32_t pins[ANNULUS_SLOTS]; /* shared with JavaScript */
  wrapper wrappers[ANNULUS_SLOTS];
  int fds[ANNULUS_FDS];
};

/* Every function returns 0 or a positive result, or -errno; look-ups return NULL. */
environment *environment_create(napi_env env);

/* Wraps a mapping, taking over one reference; returns the slot. */
int environment_wrap(environment *env, annulus_mapping *mapping);
wrapper *environment_wrapper(environment *env, int slot);
void environment_release(wrapper *wrapped); /* the mapping, and the slot for the next one */
void environment_unwrap(wrapper *wrapped);  /* the finalizer of the ArrayBuffer */
annulus_ring *environment_ring(environment *env, int fd);
void environment_close_ring(environment *env, annulus_ring *ring);
annulus_source *environment_new_source(environment *env, napi_value callback);
annulus_source *environment_source(environment *env, int id);

#endif
