// Calls of this very process, without a socket: one HTTP exchange whose bodies go from a client's loop to one of the
// server's, and back, in the memory that they lie in. The loops may be the same, and run on different threads.
#pragma once

#include <atomic>
#include <mutex>

#include "base/buffer.h"
#include "base/metadata.h"
#include "base/status.h"
#include "base/string.h"
#include "net/loop.h"
#include "server/pipe.h"

namespace zcrpc::server {

class Connection;
class Server;
class Worker;
class LocalExchange;

// Who asks. Called inside the client's loop, in turns; not after cancel. None of these may cancel.
struct LocalClient {
  // False from any of these: no more is wanted, and ended comes with an OK that says nothing.
  bool (*head)(LocalClient* c, LocalExchange* e);               // status and answer_headers are there
  bool (*piece)(LocalClient* c, const base::Piece& piece);      // of the answer; its reference is the client's
  void (*writable)(LocalClient* c);                             // pending() has become less, after it was too much
  void (*ended)(LocalClient* c, base::Status s);                // once, as the last
};

// Counted: its client has a reference, its server one while it works on it, each step that is posted one.
class LocalExchange {
 public:
  // Bytes of an answer that may wait to be used by their client, and of a request by the server.
  static constexpr size_t kWindow = 128 << 10;

  // One reference; nullptr without memory.
  static LocalExchange* make(net::Loop* loop, LocalClient* client);
  void release();

  // ---- [client's loop]
  // Before begin: what is asked. Names and values as on the wire.
  bool get = false, streams = false;   // streams: the body goes on until a piece is the last
  base::String target;
  base::Metadata headers;
  // Hands it to a loop of the server; its body, or the beginning of one that streams, is what was sent before. unavailable:
  // none serves.
  base::Status begin(Server* s);
  // More of the request's body: pieces with buffers, which are retained. False: no memory, and nothing was sent.
  [[nodiscard]] bool send(std::span<const base::Piece> pieces, bool last);
  // Streams: n bytes of the answer were used: the server may send so many more.
  void used(size_t n);
  // The answer is not wanted any more; the server hears that its client has gone.
  void cancel();
  // [any] Bytes that may be sent until so many wait; 0: they do, and writable comes when it is less than half.
  size_t room(size_t window);
  size_t pending() const { return to_server_.size(); }

  // From head on.
  int status = 0;
  base::Metadata answer_headers;

  // ---- [server's loop] See Connection.
  // status and answer_headers have been filled in.
  void head_done() { head_ready_.store(true, std::memory_order_release); }
  [[nodiscard]] bool answer(std::span<const base::Piece> pieces);  // with buffers
  size_t unused() const { return to_client_.size(); }
  bool takes() { return !to_client_.is_full(kWindow); }
  // The answer is complete, or there is none, and why.
  void end(base::Status failure);
  // What the client has sent, piece by piece; the rest of one that was not used up stays the first.
  base::Piece* front();
  void use(size_t n);
  bool at_end() { return !front_.buffer && to_server_.at_end(); }
  void gone();                         // the connection closes: whoever still waits is told

 private:
  struct Step : net::Task {
    LocalExchange* self;
    std::atomic<bool> posted{false};
  };
  LocalExchange(net::Loop* loop, LocalClient* client);
  ~LocalExchange();
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  bool to_worker(Step* s);
  void to_client();
  void arrive();
  void deliver();

  std::atomic<uint32_t> refs_{1};
  const base::Allocator* allocator_;
  LocalClient* asker_;
  bool wanted_ = true, told_head_ = false;  // [client's loop]
  std::mutex gate_;                    // of the next one
  net::Loop* loop_;                    // the client's; nullptr: nobody waits, and it may be gone
  Worker* worker_ = nullptr;           // counted
  Connection* connection_ = nullptr;   // [server's loop]
  base::Piece front_;                  // [server's loop]
  bool ended_once_ = false;            // [server's loop]
  Pipe to_server_, to_client_;
  std::atomic<bool> head_ready_{false}, ended_{false}, writable_{false};
  base::Status failure_;               // before ended_
  Step arrive_, more_, room_, cancel_, deliver_;
};

}  // namespace zcrpc::server
