/*
 * Annulus on libuv's loop: the pump that drives a ring, and watchers of single descriptors. Knows
 * libuv but no JavaScript: work is handed up through function pointers.
 */
#ifndef ANNULUS_LOOP_H
#define ANNULUS_LOOP_H

#include "ring.h"

typedef struct uv_loop_s uv_loop_t;

/* A group of libuv handles that share one callback. */
typedef struct annulus_source annulus_source;
struct annulus_source {
  annulus_source *next;
  int id;
  void *owner;
  void *callback;
  void *context;
  /* Returns 0, or non-zero when JavaScript can no longer be called. */
  int (*call)(annulus_source *source, int events);
  void (*closed)(annulus_source *source);
  annulus_ring *ring;      /* NULL for a watcher */
  struct uv_handle_s *handles[4]; /* poll, and for a pump prepare, check and idle */
  int open_handles, running, closing;
};

/* Both return 0 or -errno; after a failure the source must be closed. */
int annulus_pump_start(annulus_source *source, uv_loop_t *loop, annulus_ring *ring);
int annulus_watch_start(annulus_source *source, uv_loop_t *loop, int fd, int events);
/* Keeps the loop alive, or stops keeping it alive. */
void annulus_source_reference(annulus_source *source, int on);
/* Closes every handle; `closed` is called from the loop, or at once if none was open. */
void annulus_source_close(annulus_source *source);

#endif
