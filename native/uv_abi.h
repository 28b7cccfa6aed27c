/*
 * The few libuv calls Annulus makes, declared by hand: uv.h is not shipped with Node's API headers.
 * Handles are opaque; uv_handle_size() gives their size at run time. All symbols are exported by
 * the node executable and their signatures are stable since libuv 1.19.
 */
#ifndef ANNULUS_UV_ABI_H
#define ANNULUS_UV_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*annulus_uv_callback)(uv_handle_t *handle);
typedef void (*annulus_uv_poll_callback)(uv_handle_t *handle, int status, int events);

enum { UV_CHECK = 2, UV_IDLE = 6, UV_POLL = 8, UV_PREPARE = 9 };
enum { UV_READABLE = 1, UV_DISCONNECT = 4 };

size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_close(uv_handle_t *handle, annulus_uv_callback on_close);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
uint64_t uv_hrtime(void);

int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
int uv_poll_start(uv_handle_t *handle, int events, annulus_uv_poll_callback callback);
int uv_prepare_init(uv_loop_t *loop, uv_handle_t *handle);
int uv_prepare_start(uv_handle_t *handle, annulus_uv_callback callback);
int uv_check_init(uv_loop_t *loop, uv_handle_t *handle);
int uv_check_start(uv_handle_t *handle, annulus_uv_callback callback);
int uv_idle_init(uv_loop_t *loop, uv_handle_t *handle);
int uv_idle_start(uv_handle_t *handle, annulus_uv_callback callback);
int uv_idle_stop(uv_handle_t *handle);

#endif
