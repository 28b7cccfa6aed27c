/*
 * A peer of Annulus in C. It connects to a Node process that called
 *
 *   Channel.listen(PATH, { capacity, messages: true })     // a duplex: one channel each way
 *
 * and answers every message with the same in upper case, until that process ends its stream.
 * docs/channel-layout.md draws the memory, docs/channel-meeting.md the greeting.
 *
 *   cc -std=c11 -O2 -o channel-peer channel-peer.c && ./channel-peer PATH
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAGIC = 0x554e4e41, LAYOUT = 3, MODE_MESSAGES = 2, SIGNAL_SOCKET = 3, MIRRORED = 0 };
enum { TAIL = 32, HEAD = 64, SENDER = 96, LAPS = 98, COUNT = 99, RECEIVER = 128 }; /* words */
enum { VACANT = 0, ATTACHED = 1, CLOSED = 3, FAILED = 4 };
enum { GREETING_MAGIC = 0x4d4e4e41, GREETING = 1, DUPLEX = 3, FRAME = 8 };

#define ATTENTION 0x80000000u
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* One end of a channel. `own` is the word this side stores, `theirs` the other side's. */
typedef struct {
  _Atomic uint32_t *words;
  unsigned char *data;
  uint32_t capacity, position, own, theirs, their_state;
  int socket;
} end;

static void fail(const char *what) {
  fprintf(stderr, "channel-peer: %s: %s\n", what, errno ? strerror(errno) : "it is not as agreed");
  exit(1);
}

/* Maps a channel's memory, its data twice in a row, after checking that nothing can change its size. */
static end open_end(int memfd, int liveness, int sends) {
  uint32_t header[9];
  struct stat status;
  errno = 0;
  int seals = fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || fstat(memfd, &status) < 0) fail("memory");
  if (pread(memfd, header, sizeof header, 0) != sizeof header) fail("header");
  uint64_t start = header[2], capacity = header[3];
  if ((seals & SEALS) != SEALS || !S_ISREG(status.st_mode) || header[0] != MAGIC ||
      header[1] != LAYOUT || header[4] != MODE_MESSAGES || header[7] != SIGNAL_SOCKET ||
      header[8] != MIRRORED || capacity == 0 || capacity > 1u << 30 || capacity % 4096 != 0 ||
      start < 640 || start % 4096 != 0 || start + capacity != (uint64_t)status.st_size) {
    fail("header");
  }
  unsigned char *base =
      mmap(NULL, start + 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) fail("mmap");
  const int mode = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_FIXED;
  if (mmap(base, start + capacity, mode, how, memfd, 0) == MAP_FAILED ||
      mmap(base + start + capacity, capacity, mode, how, memfd, (off_t)start) == MAP_FAILED) {
    fail("mmap");
  }
  end it = {.words = (_Atomic uint32_t *)base, .data = base + start,
            .capacity = (uint32_t)capacity, .own = sends ? TAIL : HEAD,
            .theirs = sends ? HEAD : TAIL, .their_state = sends ? RECEIVER : SENDER,
            .socket = liveness};
  uint32_t vacant = VACANT, state = sends ? SENDER : RECEIVER;
  if (!atomic_compare_exchange_strong(&it.words[state], &vacant, ATTACHED)) fail("attach");
  atomic_store(&it.words[state + 1], (uint32_t)getpid());
  it.position = atomic_load(&it.words[it.own]) & ~ATTENTION;
  return it;
}

/* Content between the sides' positions; for a sender, what is not consumed. Fetched once, checked. */
static uint32_t used(const end *it, uint32_t word) {
  uint32_t there = word & ~ATTENTION, twice = 2 * it->capacity;
  errno = 0;
  if (there >= twice) fail("position");
  uint32_t bytes = it->own == HEAD ? (there + twice - it->position) % twice
                                   : (it->position + twice - there) % twice;
  if (bytes > it->capacity) fail("position");
  return bytes;
}

/* Bytes this side can work on: content for a receiver, free space for a sender. */
static uint32_t available(const end *it, uint32_t word) {
  return it->own == HEAD ? used(it, word) : it->capacity - used(it, word);
}

/* Waits until `least` bytes can be worked on; returns 0 when the other side has ended before. */
static int wait_for(end *it, uint32_t least) {
  for (;;) {
    if (available(it, atomic_load(&it->words[it->theirs])) >= least) return 1;
    /* The bit and the position it was set beside are one word: whoever moves it next wakes us. */
    uint32_t word = atomic_fetch_or(&it->words[it->theirs], ATTENTION);
    if (available(it, word) >= least) continue;
    uint32_t state = atomic_load(&it->words[it->their_state]);
    if (state == CLOSED || state == FAILED) {
      return available(it, atomic_load(&it->words[it->theirs])) >= least;
    }
    char wakeups[64];
    struct pollfd entry = {.fd = it->socket, .events = POLLIN};
    if (poll(&entry, 1, -1) < 0 && errno != EINTR) fail("poll");
    ssize_t count = recv(it->socket, wakeups, sizeof wakeups, MSG_DONTWAIT);
    atomic_fetch_and(&it->words[it->theirs], ~ATTENTION);
    if (count == 0) { /* the other process has died; what it published before is still there */
      return available(it, atomic_load(&it->words[it->theirs])) >= least;
    }
  }
}

/* Stores this side's position, and wakes the other side if it asked for it. */
static void move(end *it, uint32_t bytes) {
  uint32_t twice = 2 * it->capacity, next = it->position + bytes;
  if (it->own == TAIL) {
    atomic_store_explicit(&it->words[COUNT], it->words[COUNT] + 1, memory_order_relaxed);
    if (next >= twice) atomic_store(&it->words[LAPS], it->words[LAPS] + 1);
  }
  it->position = next % twice;
  if (atomic_exchange(&it->words[it->own], it->position) & ATTENTION) {
    send(it->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

static uint32_t frame_bytes(uint32_t length) { return FRAME + ((length + 7) & ~7u); }

/* Connects, greets, and receives the descriptors of a receiver and a sender. */
static void meet(const char *path, int fds[4]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  errno = 0;
  if (strlen(path) >= sizeof address.sun_path) fail("path");
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail(path);
  uint32_t greeting[4] = {GREETING_MAGIC, GREETING, LAYOUT, DUPLEX}, answer[6];
  if (send(fd, greeting, sizeof greeting, MSG_NOSIGNAL) < 0) fail("greeting");
  union {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec vector = {answer, sizeof answer};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
  if (count != sizeof answer || answer[0] != GREETING_MAGIC || answer[1] != GREETING ||
      answer[3] != 0 || passed == NULL || passed->cmsg_type != SCM_RIGHTS ||
      passed->cmsg_len != CMSG_LEN(4 * sizeof(int))) {
    fail("answer");
  }
  memcpy(fds, CMSG_DATA(passed), 4 * sizeof(int));
  close(fd);
}

int main(int argc, char **argv) {
  int fds[4];
  if (argc != 2) return fprintf(stderr, "usage: channel-peer PATH\n"), 2;
  meet(argv[1], fds);
  end in = open_end(fds[0], fds[1], 0), out = open_end(fds[2], fds[3], 1);
  while (wait_for(&in, FRAME)) {
    const unsigned char *frame = in.data + in.position % in.capacity;
    uint32_t header[2]; /* fetched once: the other side may write what it likes */
    memcpy(header, frame, sizeof header);
    uint32_t length = header[0], there = used(&in, atomic_load(&in.words[TAIL]));
    errno = 0;
    if (header[1] != ~length || there < FRAME || length > there - FRAME) fail("frame");
    if (!wait_for(&out, frame_bytes(length))) fail("the other side reads no more");
    unsigned char *answer = out.data + out.position % out.capacity;
    for (uint32_t i = 0; i < length; i++) answer[FRAME + i] = (unsigned char)toupper(frame[FRAME + i]);
    memcpy(answer, header, sizeof header);
    move(&out, frame_bytes(length));
    move(&in, frame_bytes(length));
  }
  int complete = atomic_load(&in.words[SENDER]) == CLOSED;
  atomic_store(&out.words[SENDER], complete ? CLOSED : FAILED);
  if (atomic_exchange(&out.words[TAIL], out.position) & ATTENTION) {
    send(out.socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  return complete ? 0 : 1;
}
