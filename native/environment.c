#define _GNU_SOURCE
#include "environment.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int environment_wrap(environment *env, annulus_mapping *mapping) {
  int slot = env->free_slot;
  if (slot == 0 && env->used_slots == ANNULUS_SLOTS) return -EMFILE;
  if (slot == 0) slot = env->used_slots++;
  else env->free_slot = env->wrappers[slot].next_free;
  env->wrappers[slot] = (wrapper){env, mapping, 0, env->wrappers[slot].released};
  env->live_wrappers++;
  return slot;
}

wrapper *environment_wrapper(environment *env, int slot) {
  if (slot <= 0 || slot >= env->used_slots || env->wrappers[slot].mapping == NULL) return NULL;
  return &env->wrappers[slot];
}

void environment_release(wrapper *wrapped) {
  environment *env = wrapped->env;
  annulus_mapping_release(wrapped->mapping);
  *wrapped = (wrapper){env, NULL, env->free_slot, wrapped->released + 1};
  env->free_slot = (int)(wrapped - env->wrappers);
  env->pins[env->free_slot] = 0;
}

/*
 * A buffer may be collected while the kernel still uses its memory: moved away by transfer(), its
 * new owner dropped. Then the last unpin (or the end of the environment) releases the mapping.
 */
void environment_unwrap(wrapper *wrapped) {
  environment *env = wrapped->env;
  int32_t *pins = &env->pins[wrapped - env->wrappers];
  int used = wrapped->mapping != NULL && (*pins & ~ANNULUS_DOOMED) > 0;
  int doomed = used && wrapped->released == 0;
  if (doomed) *pins |= ANNULUS_DOOMED;
  else if (wrapped->released == 0) environment_release(wrapped);
  if (!doomed) wrapped->released--;
  if (!doomed && --env->live_wrappers == 0 && env->state == ENDED) free(env);
}

annulus_ring *environment_ring(environment *env, int fd) {
  annulus_ring *ring = env->rings;
  while (ring != NULL && ring->fd != fd) ring = ring->next;
  return ring;
}

void environment_close_ring(environment *env, annulus_ring *ring) {
  annulus_ring **link = &env->rings;
  while (*link != ring) link = &(*link)->next;
  *link = ring->next;
  if (ring->pump != NULL) annulus_source_close(ring->pump);
  annulus_ring_destroy(ring);
}

static int call_javascript(annulus_source *source, int events) {
  environment *env = source->owner;
  napi_env napi = env->env;
  napi_handle_scope scope;
  if (env->state != RUNNING || napi_open_handle_scope(napi, &scope) != napi_ok) return -1;
  napi_value callback, receiver, argument, error;
  napi_create_int32(napi, events, &argument);
  napi_get_reference_value(napi, source->callback, &callback);
  napi_get_global(napi, &receiver);
  napi_async_context context = source->context;
  napi_status status = napi_make_callback(napi, context, receiver, callback, 1, &argument, NULL);
  if (status == napi_pending_exception &&
      napi_get_and_clear_last_exception(napi, &error) == napi_ok) {
    status = napi_fatal_exception(napi, error); /* 'uncaughtException', as for any Node callback */
  }
  napi_close_handle_scope(napi, scope);
  return status == napi_ok ? 0 : -1;
}

static void finish(environment *env) {
  napi_remove_async_cleanup_hook(env->hook);
  env->state = ENDED;
  if (env->live_wrappers == 0) free(env);
}

static void source_closed(annulus_source *source) {
  environment *env = source->owner;
  annulus_source **link = &env->sources;
  while (*link != source) link = &(*link)->next;
  *link = source->next;
  napi_delete_reference(env->env, source->callback);
  napi_async_destroy(env->env, source->context);
  free(source);
  if (env->state == ENDING && env->sources == NULL) finish(env);
}

annulus_source *environment_new_source(environment *env, napi_value callback) {
  annulus_source *source = calloc(1, sizeof *source);
  napi_value name = NULL;
  if (source == NULL) return NULL;
  napi_create_string_utf8(env->env, "ANNULUS", NAPI_AUTO_LENGTH, &name);
  *source = (annulus_source){.id = ++env->next_source_id, .owner = env, .next = env->sources,
                             .call = call_javascript, .closed = source_closed};
  napi_create_reference(env->env, callback, 1, (napi_ref *)&source->callback);
  napi_async_init(env->env, NULL, name, (napi_async_context *)&source->context);
  env->sources = source;
  return source;
}

annulus_source *environment_source(environment *env, int id) {
  annulus_source *source = env->sources;
  while (source != NULL && source->id != id) source = source->next;
  return source;
}

/* Returns whether no request can touch this environment's memory any more. */
static int end_rings(environment *env) {
  int drained = 1;
  while (env->rings != NULL) {
    if (annulus_ring_drain(env->rings) < 0) drained = 0;
    environment_close_ring(env, env->rings);
  }
  return drained;
}

static void end_wrappers(environment *env, int drained) {
  for (int slot = 1; slot < env->used_slots; slot++) {
    wrapper *wrapped = &env->wrappers[slot];
    int pins = env->pins[slot];
    /* Undrained memory is leaked on purpose: better lost than written by the kernel once reused. */
    if (!drained && pins > 0) wrapped->mapping = NULL;
    env->pins[slot] = 0;
    if (pins & ANNULUS_DOOMED) environment_unwrap(wrapped);
  }
}

/*
 * Ends everything with the environment. Node has already finalized ArrayBuffers by then (hooks run
 * newest first, and every buffer is newer than this one), so memory in use was only marked, and is
 * released here.
 */
static void end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  environment *env = data;
  env->state = ENDING;
  end_wrappers(env, end_rings(env));
  while (env->fd_count > 0) close(env->fds[--env->fd_count]);
  annulus_source *source = env->sources;
  if (source == NULL) finish(env);
  while (source != NULL) {
    annulus_source *next = source->next;
    annulus_source_close(source);
    source = next;
  }
}

environment *environment_create(napi_env napi) {
  environment *env = calloc(1, sizeof *env);
  if (env == NULL) return NULL;
  env->env = napi;
  env->used_slots = 1;
  napi_add_async_cleanup_hook(napi, end, env, &env->hook);
  return env;
}
