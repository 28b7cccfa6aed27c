/*
 * The Node-API face of the shim: converts arguments and results, decides nothing.
 *
 * Failures come back as negative errno values; src/sys turns them into errors. Every argument was
 * validated in TypeScript; what could corrupt memory is checked again here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "environment.h"

#define MAX_ARGUMENTS 7
#define MAX_PIECES 8

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

/* The bytes of a typed array of at least `minimum` bytes, or NULL. */
static void *view_bytes(const call *c, int index, size_t minimum, size_t *bytes) {
  static const size_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void *data = NULL;
  napi_value value = c->argv[index];
  bool is_view = false;
  if (napi_is_typedarray(c->napi, value, &is_view) != napi_ok || !is_view) return NULL;
  napi_get_typedarray_info(c->napi, value, &type, &length, &data, NULL, NULL);
  if ((size_t)type >= sizeof sizes / sizeof *sizes) return NULL;
  *bytes = length * sizes[type];
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
  if (slot < 0) {
    annulus_mapping_release(mapping);
    return slot;
  }
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

/* unmap(slot, buffer) -> 0 when unmapped, 1 when the buffer was moved away. */
static double unmap(call *c) {
  int slot = integer(c, 0);
  wrapper *wrapped = environment_wrapper(c->env, slot);
  if (wrapped == NULL || wrapped->mapping == NULL) return -ENOENT;
  if (c->env->pins[slot] > 0) return -EBUSY;
  bool detached = false;
  napi_is_detached_arraybuffer(c->napi, c->argv[1], &detached);
  /* Someone else's ArrayBuffer holds the memory now: its finalizer unmaps it. */
  if (detached) return 1;
  if (napi_detach_arraybuffer(c->napi, c->argv[1]) != napi_ok) return -ENOTSUP;
  environment_release(wrapped);
  return 0;
}

/* releaseDoomed(slot): the last pin of memory whose buffer is already collected has gone. */
static double release_doomed(call *c) {
  int slot = integer(c, 0);
  wrapper *wrapped = environment_wrapper(c->env, slot);
  if (wrapped == NULL || c->env->pins[slot] != ANNULUS_DOOMED) return -EINVAL;
  c->env->pins[slot] = 0;
  environment_unwrap(wrapped);
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
  return environment_disown_fd(c->env, integer(c, 0), integer(c, 1));
}

/* adoptRing(fd, ringsId, controlId, layout): from now on the ring ends with the environment. */
static double adopt_ring(call *c) {
  size_t bytes = 0;
  const int32_t *layout = view_bytes(c, 3, LAYOUT_WORDS * sizeof *layout, &bytes);
  annulus_mapping *rings = annulus_mapping_acquire(integer(c, 1));
  annulus_mapping *control = annulus_mapping_acquire(integer(c, 2));
  ring_entry *entry = calloc(1, sizeof *entry);
  int status = -EINVAL;
  if (layout != NULL && rings != NULL && control != NULL && entry != NULL) {
    status = annulus_ring_init(&entry->ring, integer(c, 0), rings, control, layout);
  }
  if (status == 0) {
    entry->next = c->env->rings;
    c->env->rings = entry;
    return 0;
  }
  if (rings != NULL) annulus_mapping_release(rings);
  if (control != NULL) annulus_mapping_release(control);
  free(entry);
  return status;
}

/* drainRing(fd, milliseconds) -> 0 or -ETIMEDOUT: cancels and waits for every request. */
static double drain_ring(call *c) {
  ring_entry *entry = environment_ring(c->env, integer(c, 0));
  return entry == NULL ? -EBADF : annulus_ring_drain(&entry->ring, integer(c, 1));
}

static double close_ring(call *c) {
  ring_entry *entry = environment_ring(c->env, integer(c, 0));
  if (entry == NULL) return -EBADF;
  environment_close_ring(c->env, entry);
  return 0;
}

/* The id of a source that started, or why it did not. */
static double started(annulus_source *source, int status) {
  if (status == 0) return source->id;
  annulus_source_close(source);
  return status;
}

/* startPump(ringFd, callback) -> source id; callback() reaps completions. */
static double start_pump(call *c) {
  ring_entry *entry = environment_ring(c->env, integer(c, 0));
  uv_loop_t *loop = NULL;
  napi_get_uv_event_loop(c->napi, &loop);
  if (entry == NULL || entry->pump != NULL || loop == NULL) return -EINVAL;
  annulus_source *source = environment_new_source(c->env, c->argv[1]);
  if (source == NULL) return -ENOMEM;
  int status = annulus_pump_start(source, loop, &entry->ring);
  if (status == 0) entry->pump = source;
  return started(source, status);
}

/* watch(fd, events, callback) -> source id; callback(events or -errno). Level-triggered. */
static double watch(call *c) {
  uv_loop_t *loop = NULL;
  napi_get_uv_event_loop(c->napi, &loop);
  annulus_source *source = loop == NULL ? NULL : environment_new_source(c->env, c->argv[2]);
  if (source == NULL) return -ENOMEM;
  return started(source, annulus_watch_start(source, loop, integer(c, 0), integer(c, 1)));
}

/* reference(sourceId, on): whether the source keeps the event loop alive. */
static double reference(call *c) {
  annulus_source *source = environment_source(c->env, integer(c, 0));
  if (source != NULL) annulus_source_reference(source, integer(c, 1));
  return source == NULL ? -ENOENT : 0;
}

static double close_source(call *c) {
  annulus_source *source = environment_source(c->env, integer(c, 0));
  if (source != NULL) annulus_source_close(source);
  return source == NULL ? -ENOENT : 0;
}

static const struct {
  const char *name;
  function run;
} FUNCTIONS[] = {
    {"map", map},
    {"wrap", wrap},
    {"unmap", unmap},
    {"releaseDoomed", release_doomed},
    {"enter", enter},
    {"syscall", system_call},
    {"ownFd", own_fd},
    {"disownFd", disown_fd},
    {"adoptRing", adopt_ring},
    {"drainRing", drain_ring},
    {"closeRing", close_ring},
    {"startPump", start_pump},
    {"watch", watch},
    {"reference", reference},
    {"closeSource", close_source},
};
#define FUNCTION_COUNT (sizeof FUNCTIONS / sizeof *FUNCTIONS)

/* The system calls src/sys makes by name; their numbers differ between architectures. */
static const struct {
  const char *name;
  long number;
} SYSCALLS[] = {
#define CALL(name) {#name, SYS_##name}
    CALL(io_uring_setup), CALL(io_uring_enter), CALL(io_uring_register), CALL(memfd_create),
    CALL(ftruncate),      CALL(fcntl),          CALL(lseek),             CALL(eventfd2),
    CALL(socketpair),     CALL(read),           CALL(write),             CALL(close),
    CALL(ppoll),          CALL(prlimit64),      CALL(getsockname),       CALL(setsockopt),
    CALL(getsockopt),     CALL(madvise),        CALL(prctl),
#undef CALL
};

/* Every exported function comes through here; the callback data says which one. */
static napi_value dispatch(napi_env napi, napi_callback_info info) {
  call c = {.napi = napi};
  size_t argc = MAX_ARGUMENTS;
  void *data = NULL;
  napi_value result = NULL;
  napi_get_cb_info(napi, info, &argc, c.argv, NULL, &data);
  environment_function *bound = data;
  c.env = bound->env;
  double value = FUNCTIONS[bound->index].run(&c);
  if (c.result != NULL) return c.result;
  napi_create_double(napi, value, &result);
  return result;
}

static void set_number(napi_env napi, napi_value object, const char *name, double number) {
  napi_value value = NULL;
  napi_create_double(napi, number, &value);
  napi_set_named_property(napi, object, name, value);
}

static void define_functions(napi_env napi, napi_value exports, environment *env) {
  for (size_t i = 0; i < FUNCTION_COUNT; i++) {
    const char *name = FUNCTIONS[i].name;
    napi_value value = NULL;
    env->functions[i] = (environment_function){env, (int)i};
    napi_create_function(napi, name, NAPI_AUTO_LENGTH, dispatch, &env->functions[i], &value);
    napi_set_named_property(napi, exports, name, value);
  }
}

static void define_constants(napi_env napi, napi_value exports, environment *env) {
  napi_value numbers = NULL;
  napi_value pins = NULL;
  napi_create_object(napi, &numbers);
  for (size_t i = 0; i < sizeof SYSCALLS / sizeof *SYSCALLS; i++) {
    set_number(napi, numbers, SYSCALLS[i].name, (double)SYSCALLS[i].number);
  }
  napi_set_named_property(napi, exports, "numbers", numbers);
  set_number(napi, exports, "pageSize", (double)sysconf(_SC_PAGESIZE));
  size_t bytes = ANNULUS_SLOTS * sizeof *env->pins;
  if (napi_create_external_arraybuffer(napi, env->pins, bytes, NULL, NULL, &pins) == napi_ok) {
    napi_set_named_property(napi, exports, "pins", pins);
  }
}

_Static_assert(FUNCTION_COUNT <= ANNULUS_FUNCTIONS, "environment.functions is too small");

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  environment *self = environment_create(env);
  if (self == NULL) {
    napi_throw_error(env, "ENOMEM", "annulus: no memory for the native environment");
    return NULL;
  }
  define_functions(env, exports, self);
  define_constants(env, exports, self);
  return exports;
}
