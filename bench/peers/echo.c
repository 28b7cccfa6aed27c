// An echo server on liburing: multishot accept and receive, buffers that the kernel selects from a
// ring. The same work as bench/subjects/uring/echo-annulus.ts.
#include "ring.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BUFFERS = 256, BUFFER_BYTES = 2048, GROUP = 0, ENTRIES = 256 };

// What a completion is of, in the upper half of its user_data; the lower has the descriptor.
enum { ACCEPT, RECEIVE, SEND };

struct server {
  struct io_uring *ring;
  struct io_uring_buf_ring *buffers;
  uint8_t *memory;
  int listener;
  uint64_t served;
};

static uint8_t *buffer_of(const struct server *server, unsigned id) {
  return server->memory + (size_t)id * BUFFER_BYTES;
}

static struct io_uring_sqe *next_entry(struct server *server) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(server->ring);
  if (sqe == NULL)
    die("the submission queue is full");
  return sqe;
}

static void receive(struct server *server, int fd) {
  struct io_uring_sqe *sqe = next_entry(server);
  io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = GROUP;
  sqe->user_data = (uint64_t)RECEIVE << 32 | (uint32_t)fd;
}

static void provide(struct server *server, unsigned id) {
  io_uring_buf_ring_add(server->buffers, buffer_of(server, id), BUFFER_BYTES, (unsigned short)id,
                        io_uring_buf_ring_mask(BUFFERS), 0);
  io_uring_buf_ring_advance(server->buffers, 1);
}

static void on_received(struct server *server, const struct io_uring_cqe *cqe) {
  int fd = (int)(uint32_t)cqe->user_data;
  if (cqe->res == -ENOBUFS)
    return receive(server, fd);
  if (cqe->res <= 0)
    die("a connection ended: %s", strerror(-cqe->res));
  unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
  struct io_uring_sqe *sqe = next_entry(server);
  io_uring_prep_send(sqe, fd, buffer_of(server, id), (size_t)cqe->res, MSG_NOSIGNAL);
  sqe->user_data = (uint64_t)SEND << 32 | id;
  if ((cqe->flags & IORING_CQE_F_MORE) == 0)
    receive(server, fd);
}

static void on_completion(struct server *server, const struct io_uring_cqe *cqe) {
  switch (cqe->user_data >> 32) {
  case RECEIVE:
    return on_received(server, cqe);
  case SEND:
    if (cqe->res <= 0)
      die("send: %s", strerror(-cqe->res));
    provide(server, (uint32_t)cqe->user_data);
    server->served++;
    return;
  default:
    if (cqe->res < 0)
      die("accept: %s", strerror(-cqe->res));
    receive(server, cqe->res);
  }
}

static int listen_on_loopback(struct server *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, length) < 0 ||
      listen(server->listener, 1024) < 0 ||
      getsockname(server->listener, (struct sockaddr *)&address, &length) < 0)
    die("no listening socket: %s", strerror(errno));
  return ntohs(address.sin_port);
}

static void provide_buffers(struct server *server) {
  size_t ring_bytes = BUFFERS * sizeof(struct io_uring_buf);
  server->buffers = aligned_alloc(4096, (ring_bytes + 4095) & ~(size_t)4095);
  server->memory = aligned_alloc(4096, (size_t)BUFFERS * BUFFER_BYTES);
  if (server->buffers == NULL || server->memory == NULL)
    die("no memory for %d buffers", BUFFERS);
  io_uring_buf_ring_init(server->buffers);
  struct io_uring_buf_reg registration = {
      .ring_addr = (uint64_t)(uintptr_t)server->buffers,
      .ring_entries = BUFFERS,
      .bgid = GROUP,
  };
  int result = io_uring_register_buf_ring(server->ring, &registration, 0);
  if (result < 0) {
    printf("{\"skip\": \"no provided-buffer rings: %s\"}\n", strerror(-result));
    exit(0);
  }
  for (unsigned id = 0; id < BUFFERS; id++)
    provide(server, id);
}

static pid_t start_load(int argc, char **argv, int port) {
  char port_option[32], connections_option[64], cpus_option[64];
  snprintf(port_option, sizeof port_option, "port=%d", port);
  snprintf(connections_option, sizeof connections_option, "connections=%s",
           text_option(argc, argv, "connections", NULL));
  snprintf(cpus_option, sizeof cpus_option, "cpus=%s", text_option(argc, argv, "cpus", ""));
  const char *load = text_option(argc, argv, "helper", NULL);
  pid_t child = fork();
  if (child < 0)
    die("fork: %s", strerror(errno));
  if (child > 0)
    return child;
  execl(load, load, port_option, connections_option, cpus_option, (char *)NULL);
  die("%s: %s", load, strerror(errno));
}

int main(int argc, char **argv) {
  struct bench_ring bench;
  ring_open(&bench, ENTRIES);
  struct server server = {.ring = &bench.ring};
  int port = listen_on_loopback(&server);
  provide_buffers(&server);
  struct io_uring_sqe *sqe = next_entry(&server);
  io_uring_prep_multishot_accept(sqe, server.listener, NULL, NULL, 0);
  sqe->user_data = (uint64_t)ACCEPT << 32;
  pid_t load = start_load(argc, argv, port);

  struct meter meter = meter_new(argc, argv, 1024);
  do {
    server.served = 0;
    int submitted = io_uring_submit_and_wait(server.ring, 1);
    if (submitted < 0)
      die("io_uring_submit_and_wait: %s", strerror(-submitted));
    struct io_uring_cqe *cqe;
    unsigned head, batch = 0;
    io_uring_for_each_cqe(server.ring, head, cqe) {
      on_completion(&server, cqe);
      batch++;
    }
    io_uring_cq_advance(server.ring, batch);
  } while (meter_tick(&meter, server.served));
  ring_report(&bench, &meter);
  kill(load, SIGKILL);
  waitpid(load, NULL, 0);
  return 0;
}
