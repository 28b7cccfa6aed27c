/*
 * seccomp [--errno ENOSYS] PROGRAM ARGUMENTS...: executes PROGRAM under a filter that refuses io_uring
 * as the default profiles of containers do, with EPERM unless told otherwise.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The same on every architecture. */
enum { IO_URING_SETUP = 425, IO_URING_REGISTER = 427 };

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the filter is written for x86-64 and arm64"
#endif

/* Answers with `error` to io_uring_setup, io_uring_enter and io_uring_register (425 to 427). */
static int refuse(int error) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, IO_URING_SETUP, 0, 1),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, IO_URING_REGISTER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv) {
  int error = EPERM;
  char **command = argv + 1;
  if (argc > 2 && strcmp(argv[1], "--errno") == 0) {
    error = strcmp(argv[2], "ENOSYS") == 0 ? ENOSYS : strcmp(argv[2], "EPERM") == 0 ? EPERM : 0;
    command = argv + 3;
  }
  if (error == 0 || command >= argv + argc) {
    fprintf(stderr, "usage: seccomp [--errno EPERM|ENOSYS] PROGRAM ARGUMENTS...\n");
    return 64;
  }
  if (refuse(error) < 0) {
    perror("seccomp");
    return 69;
  }
  execvp(command[0], command);
  perror(command[0]);
  return 127;
}
