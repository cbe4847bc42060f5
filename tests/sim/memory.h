/* The server's memory, told apart from the simulation's own: this takes the place of malloc in zcrpc-sim, and counts what
 * is allocated between enter and leave. Those allocations can be made to fail. One thread. */
#ifndef TESTS_SIM_MEMORY_H
#define TESTS_SIM_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether what runs from now on is the server (1) or the world (0); returns what it was. */
int sim_memory_side(int server);
/* Whether the server's allocations from here on cannot fail; returns what it was. */
int sim_memory_spare(int yes);
/* From now on: nothing of it is counted yet, and its peak is 0. must_fail: asked for each allocation of the server, on the
 * world's side; NULL: none fails. */
void sim_memory_start(int (*must_fail)(void *user, size_t size), void *user);
/* What the server has allocated since then and not freed, wherever it was freed; and the most of it at once. */
size_t sim_memory_blocks(void);
size_t sim_memory_bytes(void);
size_t sim_memory_peak(void);
unsigned long sim_memory_count(void); /* of allocations */
/* The size of one block that is left, for a message; 0: none. */
size_t sim_memory_left(void);

#ifdef __cplusplus
}

namespace sim {
class ServerSide {
 public:
  explicit ServerSide(int server = 1) : was_(sim_memory_side(server)) {}
  ServerSide(const ServerSide&) = delete;
  ServerSide& operator=(const ServerSide&) = delete;
  ~ServerSide() { sim_memory_side(was_); }

 private:
  int was_;
};
class WorldSide : ServerSide {
 public:
  WorldSide() : ServerSide(0) {}
};
}  // namespace sim
#endif
#endif
