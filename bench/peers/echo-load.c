// The load of the echo case: connections that send a request, wait for it to come back, compare it
// and send the next. Runs until the server that started it ends it.
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES = 64, MAX_CONNECTIONS = 1024 };

struct connection {
  int fd;
  uint64_t number;
};

// The second pinned CPU is ours.
static void pin(const char *cpus) {
  const char *comma = strchr(cpus, ',');
  if (comma == NULL)
    return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(comma + 1), &set);
  if (sched_setaffinity(0, sizeof set, &set) < 0)
    die("sched_setaffinity: %s", strerror(errno));
}

static int connect_to(int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons((uint16_t)port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
    die("connect to port %d: %s", port, strerror(errno));
  int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
    die("TCP_NODELAY: %s", strerror(errno));
  return fd;
}

static void fill(const struct connection *connection, uint64_t words[REQUEST_BYTES / 8]) {
  for (int i = 0; i < REQUEST_BYTES / 8; i++)
    words[i] = (connection->number << 16) ^ ((uint64_t)connection->fd << 8) ^ (uint64_t)i;
}

static void send_request(const struct connection *connection) {
  uint64_t words[REQUEST_BYTES / 8];
  fill(connection, words);
  if (send(connection->fd, words, sizeof words, MSG_NOSIGNAL) != sizeof words)
    die("send: %s", strerror(errno));
}

static void check_reply(struct connection *connection) {
  uint64_t expected[REQUEST_BYTES / 8], words[REQUEST_BYTES / 8];
  fill(connection, expected);
  if (recv(connection->fd, words, sizeof words, MSG_WAITALL) != sizeof words)
    die("the server ended connection %d", connection->fd);
  if (memcmp(words, expected, sizeof words) != 0)
    die("connection %d got another reply than it sent", connection->fd);
  connection->number++;
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pin(text_option(argc, argv, "cpus", ""));
  int port = (int)number_option(argc, argv, "port", NULL);
  int count = (int)number_option(argc, argv, "connections", NULL);
  static struct connection connections[MAX_CONNECTIONS];
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0 || count > MAX_CONNECTIONS)
    die("no epoll for %d connections", count);
  for (int i = 0; i < count; i++) {
    connections[i].fd = connect_to(port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
      die("epoll_ctl: %s", strerror(errno));
  }
  for (int i = 0; i < count; i++)
    send_request(&connections[i]);
  for (;;) {
    struct epoll_event events[MAX_CONNECTIONS];
    int ready = epoll_wait(epoll, events, MAX_CONNECTIONS, -1);
    for (int i = 0; i < ready; i++) {
      struct connection *connection = events[i].data.ptr;
      check_reply(connection);
      send_request(connection);
    }
  }
}
