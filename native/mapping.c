#define _GNU_SOURCE
#include "mapping.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static annulus_mapping *registry;
static int next_id = 1;

static void *map_piece(void *address, const annulus_piece *piece, int fixed) {
  int fd = piece->fd < -1 ? -2 - piece->fd : piece->fd;
  int flags = piece->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  return mmap(address, piece->length, PROT_READ | PROT_WRITE,
              flags | fixed | (fd < 0 ? MAP_ANONYMOUS : 0), fd, (off_t)piece->offset);
}

static int map_range(size_t length, const annulus_piece *pieces, size_t count, void **out) {
  if (count == 1 && pieces[0].at == 0 && pieces[0].length == length) {
    void *address = map_piece(NULL, &pieces[0], 0);
    if (address == MAP_FAILED) return -errno;
    *out = address;
    return 0;
  }
  /* A file of huge pages is given an address that suits them. */
  int flags = MAP_PRIVATE | MAP_NORESERVE | (pieces[0].fd < 0 ? MAP_ANONYMOUS : 0);
  char *base = mmap(NULL, length, PROT_NONE, flags, pieces[0].fd, 0);
  if (base == MAP_FAILED) return -errno;
  for (size_t i = 0; i < count; i++) {
    const annulus_piece *piece = &pieces[i];
    int outside = piece->at > length || piece->length > length - piece->at;
    if (outside || map_piece(base + piece->at, piece, MAP_FIXED) == MAP_FAILED) {
      int error = outside ? EINVAL : errno;
      munmap(base, length);
      return -error;
    }
  }
  *out = base;
  return 0;
}

int annulus_mapping_create(size_t length, const annulus_piece *pieces, size_t count,
                           annulus_mapping **out) {
  void *base = NULL;
  int status = length == 0 || count == 0 ? -EINVAL : map_range(length, pieces, count, &base);
  if (status < 0) return status;
  annulus_mapping *mapping = calloc(1, sizeof *mapping);
  if (mapping == NULL || madvise(base, length, MADV_DONTFORK) < 0) {
    status = mapping == NULL ? -ENOMEM : -errno;
    free(mapping);
    munmap(base, length);
    return status;
  }
  pthread_mutex_lock(&registry_lock);
  *mapping = (annulus_mapping){registry, base, length, next_id, 1};
  next_id = next_id == INT_MAX ? 1 : next_id + 1;
  registry = mapping;
  pthread_mutex_unlock(&registry_lock);
  *out = mapping;
  return 0;
}

annulus_mapping *annulus_mapping_acquire(int id) {
  pthread_mutex_lock(&registry_lock);
  annulus_mapping *mapping = registry;
  while (mapping != NULL && mapping->id != id) mapping = mapping->next;
  if (mapping != NULL) mapping->references++;
  pthread_mutex_unlock(&registry_lock);
  return mapping;
}

void annulus_mapping_release(annulus_mapping *mapping) {
  if (mapping == NULL) return;
  pthread_mutex_lock(&registry_lock);
  int last = --mapping->references == 0;
  if (last) {
    annulus_mapping **link = &registry;
    while (*link != mapping) link = &(*link)->next;
    *link = mapping->next;
  }
  pthread_mutex_unlock(&registry_lock);
  if (last) munmap(mapping->base, mapping->length);
  if (last) free(mapping);
}
