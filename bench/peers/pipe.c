// Pipes between two processes: payloads one way, or round trips of 8 bytes with `payload=ping`.
#define _GNU_SOURCE
#include "pair.h"
#include "payload.h"
#include "round-trips.h"

#include <fcntl.h>

// The most that a pipe may have without privileges, on most machines.
enum { PIPE_BYTES = 1 << 20 };

static void read_all(int fd, void *memory, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t count = read(fd, (char *)memory + done, bytes - done);
    if (count <= 0)
      die("read from a pipe: %s", count == 0 ? "it has ended" : strerror(errno));
    done += (size_t)count;
  }
}

static void write_all(int fd, const void *memory, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t count = write(fd, (const char *)memory + done, bytes - done);
    if (count < 0)
      die("write to a pipe: %s", strerror(errno));
    done += (size_t)count;
  }
}

static void new_pipe(int fds[2]) {
  if (pipe(fds) < 0)
    die("pipe: %s", strerror(errno));
  fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); // refused: the default of 64 KiB will do
}

static double numbers[BLOCK_BYTES / 8];
static struct block block;

// Small messages are gathered to writes of 64 KiB, since annulus publishes in batches too.
__attribute__((noreturn)) static void send_messages(int fd) {
  for (double sequence = 0;;) {
    for (size_t at = 0; at < BLOCK_BYTES / 8; at += MESSAGE_NUMBERS)
      write_message(numbers + at, sequence++);
    write_all(fd, numbers, BLOCK_BYTES);
  }
}

static void receive_messages(int fd, struct meter *meter) {
  double sequence = 0;
  do {
    read_all(fd, numbers, BLOCK_BYTES);
    for (size_t at = 0; at < BLOCK_BYTES / 8; at += MESSAGE_NUMBERS)
      check_message(numbers + at, sequence++);
  } while (meter_tick(meter, BLOCK_BYTES / MESSAGE_BYTES));
}

__attribute__((noreturn)) static void send_blocks(int fd) {
  for (uint32_t sequence = 0;; sequence++) {
    block_stamp(&block, sequence);
    write_all(fd, block.words, block.bytes);
  }
}

static void receive_blocks(int fd, struct meter *meter) {
  uint32_t sequence = 0;
  do {
    read_all(fd, numbers, block.bytes);
    block_check(&block, numbers, sequence++);
  } while (meter_tick(meter, 1));
}

static void one_way(int argc, char **argv, size_t bytes) {
  struct meter meter = meter_new(argc, argv, 64);
  int fds[2];
  new_pipe(fds);
  block_init(&block, bytes);
  pid_t child = start_partner(argc, argv);
  if (child == 0 && bytes == MESSAGE_BYTES)
    send_messages(fds[1]);
  else if (child == 0)
    send_blocks(fds[1]);
  if (bytes == MESSAGE_BYTES)
    receive_messages(fds[0], &meter);
  else
    receive_blocks(fds[0], &meter);
  kill(child, SIGKILL);
  report_one_way(&meter, bytes);
}

static void round_trip(int argc, char **argv) {
  struct round_trips trips = round_trips_new(argc, argv, 16);
  int there[2], back[2];
  new_pipe(there);
  new_pipe(back);
  pid_t child = start_partner(argc, argv);
  uint64_t ping;
  if (child == 0) {
    for (uint64_t expected = 1;; expected++) {
      read_all(there[0], &ping, sizeof ping);
      if (ping != expected)
        die("expected ping %llu", (unsigned long long)expected);
      ping = ~expected;
      write_all(back[1], &ping, sizeof ping);
    }
  }
  uint64_t sequence = 0;
  do {
    ping = ++sequence;
    write_all(there[1], &ping, sizeof ping);
    read_all(back[0], &ping, sizeof ping);
    if (ping != ~sequence)
      die("expected pong %llu", (unsigned long long)sequence);
  } while (round_trips_tick(&trips));
  kill(child, SIGKILL);
  round_trips_report(&trips);
}

int main(int argc, char **argv) {
  const char *payload = text_option(argc, argv, "payload", NULL);
  if (strcmp(payload, "ping") == 0)
    round_trip(argc, argv);
  else if (strcmp(payload, "message64") == 0)
    one_way(argc, argv, MESSAGE_BYTES);
  else if (strcmp(payload, "message1k") == 0)
    one_way(argc, argv, 1024);
  else
    one_way(argc, argv, BLOCK_BYTES);
  return 0;
}
