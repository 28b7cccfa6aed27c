#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * The few libuv calls made here, declared by hand: uv.h is not among Node's API headers. All are
 * exported by the node executable and stable since libuv 1.19; handles are opaque and sized at run
 * time by uv_handle_size().
 */
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_callback)(uv_handle_t *handle);
enum { UV_CHECK = 2, UV_IDLE = 6, UV_POLL = 8, UV_PREPARE = 9, UV_READABLE = 1 };
size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *, void *), *uv_handle_get_data(const uv_handle_t *);
void uv_close(uv_handle_t *handle, uv_callback on_close);
void uv_ref(uv_handle_t *), uv_unref(uv_handle_t *);
uint64_t uv_hrtime(void);
int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
int uv_poll_start(uv_handle_t *handle, int events, void (*callback)(uv_handle_t *, int, int));
int uv_prepare_init(uv_loop_t *, uv_handle_t *), uv_prepare_start(uv_handle_t *, uv_callback);
int uv_check_init(uv_loop_t *, uv_handle_t *), uv_check_start(uv_handle_t *, uv_callback);
int uv_idle_init(uv_loop_t *, uv_handle_t *), uv_idle_start(uv_handle_t *, uv_callback);
int uv_idle_stop(uv_handle_t *);

/*
 * Longest stretch one turn of the loop may spend in the pump before timers and other handles get
 * their turn: shorter costs throughput at depth 1, longer delays a 1 ms timer.
 */
#define PUMP_BUDGET_NS 150000u

enum { HANDLE_POLL, HANDLE_PREPARE, HANDLE_CHECK, HANDLE_IDLE, HANDLE_COUNT };

static int open_handle(annulus_source *source, uv_loop_t *loop, int index, int fd) {
  static const int types[] = {UV_POLL, UV_PREPARE, UV_CHECK, UV_IDLE};
  uv_handle_t *handle = calloc(1, uv_handle_size(types[index]));
  if (handle == NULL) return -ENOMEM;
  int (*const init[])(uv_loop_t *, uv_handle_t *) = {NULL, uv_prepare_init, uv_check_init,
                                                     uv_idle_init};
  int status = index == HANDLE_POLL ? uv_poll_init(loop, handle, fd) : init[index](loop, handle);
  if (status < 0) {
    free(handle);
    return status;
  }
  uv_handle_set_data(handle, source);
  uv_unref(handle);
  source->handles[index] = handle;
  source->open_handles++;
  return 0;
}

void annulus_source_reference(annulus_source *source, int on) {
  if (source->closing) return;
  if (source->ring != NULL) source->ring->control[CONTROL_REFERENCED] = on;
  if (on) uv_ref(source->handles[HANDLE_POLL]);
  else uv_unref(source->handles[HANDLE_POLL]);
}

static void on_handle_closed(uv_handle_t *handle) {
  annulus_source *source = uv_handle_get_data(handle);
  free(handle);
  if (--source->open_handles == 0) source->closed(source);
}

void annulus_source_close(annulus_source *source) {
  if (source->closing) return;
  source->closing = 1;
  if (source->open_handles == 0) return source->closed(source);
  for (int i = 0; i < HANDLE_COUNT; i++) {
    if (source->handles[i] != NULL) uv_close(source->handles[i], on_handle_closed);
  }
}

static void on_idle(uv_handle_t *handle) {
  (void)handle; /* its existence keeps the loop from blocking; the check handle does the work */
}

/* After JavaScript ran: block in the loop or not, stay alive or not. */
static void settle(annulus_source *source, int awake) {
  int busy = awake || annulus_ring_has_work(source->ring);
  if (!busy) {
    annulus_ring_signal(source->ring, 1);
    busy = annulus_ring_has_work(source->ring); /* what came before the signal was on */
  }
  if (busy) uv_idle_start(source->handles[HANDLE_IDLE], on_idle);
  else uv_idle_stop(source->handles[HANDLE_IDLE]);
  int32_t *control = source->ring->control;
  int in_flight = control[CONTROL_PREPARED] != control[CONTROL_ENDED];
  if (!in_flight && control[CONTROL_REFERENCED]) annulus_source_reference(source, 0);
}

static void pump(uv_handle_t *handle) {
  annulus_source *source = uv_handle_get_data(handle);
  /* JavaScript may run a nested loop (a debugger does): never reenter. */
  if (source->running || source->closing) return;
  source->running = 1;
  annulus_ring_signal(source->ring, 0);
  uint64_t deadline = 0;
  for (;;) {
    annulus_ring_turn(source->ring);
    if (!annulus_ring_has_news(source->ring)) break;
    if (source->call(source, 0) != 0 || source->closing) break;
    uint64_t now = uv_hrtime();
    if (deadline == 0) deadline = now + PUMP_BUDGET_NS;
    if (now >= deadline) break;
  }
  source->running = 0;
  /* JavaScript that ran may have given work to another pump, whose turn is over: do not block. */
  if (!source->closing) settle(source, deadline != 0);
}

/* The poll handle only wakes the loop: the check handle, which runs right after, does the work. */
static void on_pump_poll(uv_handle_t *handle, int status, int events) {
  annulus_source *source = uv_handle_get_data(handle);
  uint64_t count;
  (void)status, (void)events;
  if (read(source->ring->event_fd, &count, sizeof count) < 0) return; /* nothing to reset */
}

int annulus_pump_start(annulus_source *source, uv_loop_t *loop, annulus_ring *ring) {
  source->ring = ring;
  for (int i = 0; i < HANDLE_COUNT; i++) {
    int status = open_handle(source, loop, i, ring->event_fd);
    if (status < 0) return status;
  }
  uv_prepare_start(source->handles[HANDLE_PREPARE], pump);
  uv_check_start(source->handles[HANDLE_CHECK], pump);
  return uv_poll_start(source->handles[HANDLE_POLL], UV_READABLE, on_pump_poll);
}

static void on_watch(uv_handle_t *handle, int status, int events) {
  annulus_source *source = uv_handle_get_data(handle);
  source->call(source, status < 0 ? status : events);
}

int annulus_watch_start(annulus_source *source, uv_loop_t *loop, int fd, int events) {
  int status = open_handle(source, loop, HANDLE_POLL, fd);
  return status < 0 ? status : uv_poll_start(source->handles[HANDLE_POLL], events, on_watch);
}
