// A call as the test knows it: what its client does, what its handler does, and what became of it on both sides.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sim {

enum class Kind : uint8_t { kUnary, kPull, kPush, kChat };        // who streams: nobody, the server, the client, both
enum class Protocol : uint8_t { kConnect, kGrpc, kGrpcWeb };
enum class Way : uint8_t { kNow, kLater, kThread, kNever, kCancel, kDrop };  // how the handler ends it

struct Call {
  uint32_t number = 0;
  bool http2 = false, local = false;
  Kind kind = Kind::kUnary;
  Protocol protocol = Protocol::kConnect;
  int requests = 1, replies = 1;
  size_t request_size = 0, reply_size = 0;
  Way way = Way::kNow;
  int outcome = 0;               // the code that the handler ends it with
  int64_t later_ns = 0;
  int early = -1;                // the handler ends it after so many requests, not waiting for the others
  int64_t timeout_ms = -1;
  int64_t cancel_ns = -1;        // the client gives up so long after its beginning
  bool flood = false;            // the handler sends without asking for room
  bool heavy = false;            // streams more than anybody may hold

  // The client's side.
  bool begun = false, canceled = false, half_closed = false;
  int ended = 0;
  int64_t ended_ns = 0;
  bool cut = false;              // its time ran out: the drain's, or the server's patience
  int code = kNothing;           // kNothing: the transport ended it
  int replies_got = 0;
  bool wrong_bytes = false, refused = false;
  bool left_waiting = false;     // it asked whether to send, and heard nothing before its end
  static constexpr int kNothing = -1;
  // The server's.
  int seen = 0, done = 0, requests_seen = 0, replies_sent = 0;
  int64_t finished_ns = 0;
  bool finished = false, half_close_seen = false;

  std::string_view path() const {
    static constexpr std::string_view kPaths[] = {"/s.S/Unary", "/s.S/Pull", "/s.S/Push", "/s.S/Chat"};
    return kPaths[size_t(kind)];
  }
  bool streams() const { return kind != Kind::kUnary; }
  bool answers_stream() const { return kind == Kind::kPull || kind == Kind::kChat; }
  bool requests_stream() const { return kind == Kind::kPush || kind == Kind::kChat; }
  std::string content_type() const {
    if (protocol == Protocol::kGrpc) return "application/grpc";
    if (protocol == Protocol::kGrpcWeb) return "application/grpc-web";
    return streams() ? "application/connect+proto" : "application/proto";
  }
  bool enveloped() const { return protocol != Protocol::kConnect || streams(); }
  std::string request(int i) const { return content(number * 4 + 0, i, request_size); }
  std::string reply(int i) const { return content(number * 4 + 1, i, reply_size); }
  // The whole of the request's body.
  std::string request_body(int i) const { return enveloped() ? envelope(0, request(i)) : request(i); }

  // A response's body, whole or as much as came; sets code and replies_got. end: the transport says it is complete.
  void judge_body(int http_status, std::string_view body, bool end, int grpc_status);

  static std::string content(uint32_t of, int index, size_t size);
  static std::string envelope(uint8_t flags, std::string_view message);
  static int code_of(std::string_view name);
};

}  // namespace sim
