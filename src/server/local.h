// Calls of this very process, without a socket: one HTTP exchange, the request whole and the answer whole, from a client's
// loop to one of the server's and back. The loops may be the same, and run on different threads.
#pragma once

#include <atomic>
#include <mutex>

#include "base/buffer.h"
#include "base/metadata.h"
#include "base/status.h"
#include "base/string.h"
#include "net/loop.h"

namespace zcrpc::server {

class Connection;
class Server;
class Worker;

// Counted: its client has a reference, its server one while it works on it, each step that is posted one.
class LocalExchange {
 public:
  // One reference; nullptr without memory. answered runs inside the client's loop, once, in a turn; not after cancel.
  static LocalExchange* make(net::Loop* client, void (*answered)(LocalExchange* e, void* user), void* user);
  void release();

  // Before begin: what is asked. Names and values as on the wire.
  bool get = false;
  base::String target;
  base::Metadata headers;
  base::BufferRef body;        // null: empty
  // [client's loop] Hands it to a loop of the server. unavailable: none serves.
  base::Status begin(Server* s);
  // [client's loop] The answer is not wanted any more; the server hears that its client has gone.
  void cancel();

  // Once it was answered: a failure (the server went), or status, headers and body.
  base::Status failure;
  int status = 0;
  base::Metadata answer_headers;
  base::BufferRef answer_body;

  // [server's loop] See Connection. answer: what stands above has been filled in.
  void answer();
  void gone();                 // the connection closes: whoever still waits is told

 private:
  struct Step : net::Task { LocalExchange* self; };
  explicit LocalExchange(net::Loop* client);
  ~LocalExchange() = default;
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void arrive();

  std::atomic<uint32_t> refs_{1};
  const base::Allocator* allocator_;
  void (*answered_)(LocalExchange* e, void* user) = nullptr;
  void* user_ = nullptr;
  bool wanted_ = true;         // [client's loop]
  std::mutex gate_;            // of the next one
  net::Loop* client_;          // nullptr: nobody waits, and the loop may be gone
  Worker* worker_ = nullptr;   // counted
  Connection* connection_ = nullptr;  // [server's loop]
  bool answered_once_ = false; // [server's loop]
  Step arrive_, cancel_, deliver_;
};

}  // namespace zcrpc::server
