/* Starts tests/support/odd_server.py, an HTTP/1.1 server that misbehaves on request. */
#ifndef TESTS_SUPPORT_ODD_SERVER_H
#define TESTS_SUPPORT_ODD_SERVER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct odd_server {
  pid_t pid;
  int stop;           /* closing it ends the server */
  char target[192];   /* for zcrpc_channel_new */
} odd_server;

/* path: of a local socket, or NULL for a port. 0: it runs. */
static inline int odd_server_start(odd_server *s, const char *path) {
  int in[2], out[2];
  char script[512], line[160];
  FILE *told;
  if (pipe(in) || pipe(out)) return -1;
  snprintf(script, sizeof script, "%s/tests/support/odd_server.py", ZCRPC_SOURCE_DIR);
  s->pid = fork();
  if (s->pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
    execlp("python3", "python3", script, path, (char *)NULL);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  s->stop = in[1];
  told = fdopen(out[0], "r");
  if (!told || !fgets(line, sizeof line, told) || strncmp(line, "listening ", 10)) return -1;
  fclose(told);
  line[strcspn(line, "\n")] = 0;
  snprintf(s->target, sizeof s->target, "%s%s", path ? "unix:" : "http://127.0.0.1:", line + 10);
  return 0;
}

static inline void odd_server_stop(odd_server *s) {
  close(s->stop);
  waitpid(s->pid, NULL, 0);
}

#endif
