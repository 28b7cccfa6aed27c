/*
 * The Node-API face of the shim: converts arguments and results, decides nothing. Failures are
 * negative errno values, which src/sys turns into errors. Every argument was validated in TypeScript;
 * what could corrupt memory is checked again here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "environment.h"

enum { MAX_ARGUMENTS = 7, MAX_PIECES = 8 };

typedef struct call {
  napi_env napi;
  environment *env;
  napi_value argv[MAX_ARGUMENTS];
  napi_value result; /* set by a function that returns something else than a number */
} call;

typedef double (*function)(call *c);

static int integer(const call *c, int index) {
  int32_t result = 0;
  napi_get_value_int32(c->napi, c->argv[index], &result);
  return result;
}

/* The bytes of a view of at least `minimum` bytes, or NULL. Node's "buffer" is any view. */
static void *view_bytes(const call *c, int index, size_t minimum, size_t *bytes) {
  void *data = NULL;
  bool is_view = false;
  if (napi_is_buffer(c->napi, c->argv[index], &is_view) != napi_ok || !is_view) return NULL;
  napi_get_buffer_info(c->napi, c->argv[index], &data, bytes);
  return *bytes >= minimum ? data : NULL;
}

/* map(length, pieces) -> mapping id; pieces holds rows of [at, length, fd, offset]. */
static double map(call *c) {
  double length = 0;
  size_t bytes = 0;
  napi_get_value_double(c->napi, c->argv[0], &length);
  const double *rows = view_bytes(c, 1, 4 * sizeof *rows, &bytes);
  size_t count = bytes / (4 * sizeof *rows);
  if (rows == NULL || count > MAX_PIECES) return -EINVAL;
  annulus_piece pieces[MAX_PIECES];
  for (size_t i = 0; i < count; i++, rows += 4) {
    pieces[i] = (annulus_piece){(size_t)rows[0], (size_t)rows[1], (int)rows[2], (int64_t)rows[3]};
  }
  annulus_mapping *mapping = NULL;
  int status = annulus_mapping_create((size_t)length, pieces, count, &mapping);
  return status < 0 ? status : mapping->id;
}

static void finalize_wrapper(napi_env napi, void *data, void *hint) {
  (void)napi;
  (void)data;
  environment_unwrap(hint);
}

/*
 * wrap(id, acquire, out) -> ArrayBuffer. With `acquire` it takes a reference of its own, else it
 * takes over the one map() returned. out becomes [slot, address].
 */
static double wrap(call *c) {
  size_t bytes = 0;
  double *out = view_bytes(c, 2, 2 * sizeof *out, &bytes);
  annulus_mapping *mapping = out == NULL ? NULL : annulus_mapping_acquire(integer(c, 0));
  if (mapping == NULL) return out == NULL ? -EINVAL : -ENOENT;
  if (!integer(c, 1)) annulus_mapping_release(mapping);
  int slot = environment_wrap(c->env, mapping);
  if (slot < 0) annulus_mapping_release(mapping);
  if (slot < 0) return slot;
  out[0] = slot;
  out[1] = (double)(uintptr_t)mapping->base;
  napi_status status = napi_create_external_arraybuffer(c->napi, mapping->base, mapping->length,
                                                        finalize_wrapper,
                                                        environment_wrapper(c->env, slot),
                                                        &c->result);
  if (status == napi_ok) return 0;
  c->result = NULL;
  environment_unwrap(environment_wrapper(c->env, slot));
  /* Electron's sandbox forbids external buffers; the caller names that in its error. */
  return status == napi_no_external_buffers_allowed ? -ENOTSUP : -ENOMEM;
}

/*
 * unmap(slot, buffer, keep) -> 0 when unmapped, 1 when the buffer was moved away. Without a buffer: the
 * last pin of memory whose buffer is already collected has gone. With `keep` the buffer is detached
 * all the same, but its reference is left for a wrap() to take over.
 */
static double unmap(call *c) {
  int slot = integer(c, 0);
  wrapper *wrapped = environment_wrapper(c->env, slot);
  if (wrapped == NULL) return -ENOENT;
  int pins = c->env->pins[slot];
  if (pins == ANNULUS_DOOMED) environment_unwrap(wrapped);
  if (pins != 0) return pins == ANNULUS_DOOMED ? 0 : -EBUSY;
  bool detached = false;
  napi_is_detached_arraybuffer(c->napi, c->argv[1], &detached);
  /* Someone else's ArrayBuffer holds the memory now: its finalizer unmaps it. */
  if (detached) return 1;
  if (napi_detach_arraybuffer(c->napi, c->argv[1]) != napi_ok) return -ENOTSUP;
  if (integer(c, 2)) annulus_mapping_acquire(wrapped->mapping->id);
  environment_release(wrapped);
  return 0;
}

/* enter(fd, toSubmit, minComplete, flags) -> requests consumed. */
static double enter(call *c) {
  long result = syscall(SYS_io_uring_enter, integer(c, 0), integer(c, 1), integer(c, 2),
                        integer(c, 3), NULL, 0);
  return result < 0 ? -errno : (double)result;
}

/* A system call argument: a number, a typed array (its address), or nothing (0). */
static long syscall_argument(const call *c, int index) {
  napi_valuetype type = napi_undefined;
  int64_t word = 0;
  size_t bytes = 0;
  napi_typeof(c->napi, c->argv[index], &type);
  if (type == napi_object) return (long)view_bytes(c, index, 0, &bytes);
  if (type == napi_number) napi_get_value_int64(c->napi, c->argv[index], &word);
  return (long)word;
}

/* syscall(number, ...up to six arguments) -> its result. */
static double system_call(call *c) {
  long a[MAX_ARGUMENTS];
  for (int i = 0; i < MAX_ARGUMENTS; i++) a[i] = syscall_argument(c, i);
  long result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  return result < 0 ? -errno : (double)result;
}

/* ownFd(fd): closes the descriptor when the environment ends, unless disownFd() was called before. */
static double own_fd(call *c) {
  if (c->env->fd_count == ANNULUS_FDS) return -EMFILE;
  c->env->fds[c->env->fd_count++] = integer(c, 0);
  return 0;
}

/* disownFd(fd, close): takes it off the list, and closes it or leaves it to somebody else. */
static double disown_fd(call *c) {
  int fd = integer(c, 0);
  for (int i = 0; i < c->env->fd_count; i++) {
    if (c->env->fds[i] != fd) continue;
    c->env->fds[i] = c->env->fds[--c->env->fd_count];
    return integer(c, 1) && close(fd) < 0 ? -errno : 0;
  }
  return -EBADF;
}

/* adoptRing(fd, ringsId, controlId, layout): from now on the ring ends with the environment. */
static double adopt_ring(call *c) {
  size_t bytes = 0;
  const int32_t *layout = view_bytes(c, 3, LAYOUT_WORDS * sizeof *layout, &bytes);
  annulus_mapping *rings = annulus_mapping_acquire(integer(c, 1));
  annulus_mapping *control = annulus_mapping_acquire(integer(c, 2));
  annulus_ring *ring = calloc(1, sizeof *ring);
  int status = -EINVAL;
  if (layout != NULL && rings != NULL && control != NULL && ring != NULL) {
    status = annulus_ring_init(ring, integer(c, 0), rings, control, layout);
  }
  if (status == 0) {
    ring->next = c->env->rings;
    c->env->rings = ring;
    return 0;
  }
  annulus_mapping_release(rings);
  annulus_mapping_release(control);
  free(ring);
  return status;
}

/* closeRing(fd): the caller has drained it, or left its memory pinned. */
static double close_ring(call *c) {
  annulus_ring *ring = environment_ring(c->env, integer(c, 0));
  if (ring == NULL) return -EBADF;
  environment_close_ring(c->env, ring);
  return 0;
}

/*
 * watch(fd, events, callback) -> source id; callback(events or -errno) while the descriptor is ready.
 * With events 0 the descriptor is a ring's, which the source pumps; callback() reaps completions. The
 * fourth argument then is the eventfd registered with the ring, which wakes the loop.
 */
static double watch(call *c) {
  int fd = integer(c, 0);
  int events = integer(c, 1);
  annulus_ring *ring = events == 0 ? environment_ring(c->env, fd) : NULL;
  uv_loop_t *loop = NULL;
  if (napi_get_uv_event_loop(c->napi, &loop) != napi_ok) return -EINVAL;
  if (events == 0 && (ring == NULL || ring->pump != NULL)) return -EINVAL;
  if (ring != NULL) ring->event_fd = integer(c, 3);
  annulus_source *source = environment_new_source(c->env, c->argv[2]);
  if (source == NULL) return -ENOMEM;
  int status = events == 0 ? annulus_pump_start(source, loop, ring)
                           : annulus_watch_start(source, loop, fd, events);
  if (status < 0) annulus_source_close(source);
  else if (ring != NULL) ring->pump = source;
  return status < 0 ? status : source->id;
}

/* source(id, action): 0 lets the event loop end, 1 keeps it alive, 2 closes the source. */
static double source(call *c) {
  annulus_source *source = environment_source(c->env, integer(c, 0));
  int action = integer(c, 1);
  if (source == NULL) return -ENOENT;
  if (action == 2) annulus_source_close(source);
  else annulus_source_reference(source, action);
  return 0;
}

static const struct {
  const char *name;
  function run;
} FUNCTIONS[] = {
    {"map", map},
    {"wrap", wrap},
    {"unmap", unmap},
    {"enter", enter},
    {"syscall", system_call},
    {"ownFd", own_fd},
    {"disownFd", disown_fd},
    {"adoptRing", adopt_ring},
    {"closeRing", close_ring},
    {"watch", watch},
    {"source", source},
};

/* Every exported function comes through here; the callback data says which one. */
static napi_value dispatch(napi_env napi, napi_callback_info info) {
  call c = {.napi = napi};
  size_t argc = MAX_ARGUMENTS;
  void *index = NULL;
  napi_get_cb_info(napi, info, &argc, c.argv, NULL, &index);
  napi_get_instance_data(napi, (void **)&c.env);
  double value = FUNCTIONS[(size_t)index].run(&c);
  if (c.result == NULL) napi_create_double(napi, value, &c.result);
  return c.result;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  environment *self = environment_create(env);
  napi_value value = NULL;
  if (self == NULL) {
    napi_throw_error(env, "ENOMEM", "annulus: no memory for the native environment");
    return NULL;
  }
  napi_set_instance_data(env, self, NULL, NULL); /* environment.c frees it when the time comes */
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
    napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, dispatch, (void *)i, &value);
    napi_set_named_property(env, exports, FUNCTIONS[i].name, value);
  }
  napi_create_int64(env, sysconf(_SC_PAGESIZE), &value);
  napi_set_named_property(env, exports, "pageSize", value);
  napi_create_external_arraybuffer(env, self->pins, sizeof self->pins, NULL, NULL, &value);
  napi_set_named_property(env, exports, "pins", value);
  return exports;
}
