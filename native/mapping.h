/*
 * Reference-counted memory mappings, shared by every environment of the process and unmapped with
 * their last reference, on whichever thread. Pure C: returns -errno, knows no JavaScript.
 */
#ifndef ANNULUS_MAPPING_H
#define ANNULUS_MAPPING_H

#include <stddef.h>
#include <stdint.h>

/* One mmap() inside a mapping. `fd` -1 is anonymous memory, -2 - fd a private copy of a file's. */
typedef struct annulus_piece {
  size_t at, length;
  int fd;
  int64_t offset;
} annulus_piece;

typedef struct annulus_mapping {
  struct annulus_mapping *next;
  void *base;
  size_t length;
  int id;
  int references; /* guarded by the registry's mutex */
} annulus_mapping;

/*
 * Maps `count` pieces into one range, which fork() does not pass on. A single piece is one plain mmap
 * (io_uring refuses a chosen address); several are placed over a reservation, so that no other
 * thread can take the addresses in between.
 */
int annulus_mapping_create(size_t length, const annulus_piece *pieces, size_t count,
                           annulus_mapping **out);
/* Takes one more reference to a live mapping, or returns NULL. */
annulus_mapping *annulus_mapping_acquire(int id);

void annulus_mapping_release(annulus_mapping *mapping);

#endif
