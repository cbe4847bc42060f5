/* Debug builds end the process that uses a view whose memory has gone: what it says then. After cmocka.h. */
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcrpc.h>

/* Runs use(v) in a child of its own; said gets what that wrote to stderr, cut at cap - 1 bytes. Whether it was aborted. */
static int aborts(void (*use)(const zcrpc_view *), const zcrpc_view *v, char *said, size_t cap) {
  ssize_t n;
  size_t all = 0;
  int pipes[2], status;
  pid_t child;
  assert_int_equal(pipe(pipes), 0);
  child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(pipes[1], 2);
    signal(SIGABRT, SIG_DFL);
    alarm(20);
    use(v);
    _exit(0);
  }
  close(pipes[1]);
  while (all < cap - 1 && (n = read(pipes[0], said + all, cap - 1 - all)) > 0) all += (size_t)n;
  said[all] = 0;
  close(pipes[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
