// An echo server in Boost.Asio's io_context, in C++.    echo-asio [ADDRESS]    (127.0.0.1:8080)
#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>  // which Boost 1.74 forgets in C++20
#include <boost/asio.hpp>
#include "echo.zcrpc.h"
namespace asio = boost::asio;
using Loop = std::unique_ptr<zcrpc_loop, decltype(&zcrpc_loop_free)>;
using Server = std::unique_ptr<zcrpc_server, decltype(&zcrpc_server_free)>;

static zcrpc_code echo(zcrpc_call *call, const echo_v1_EchoRequest *request, echo_v1_EchoReply_writer *reply, void *) {
  zcrpc_slice text = echo_v1_EchoRequest_text(request);
  if (!text.len) return zcrpc_call_fail(call, ZCRPC_INVALID_ARGUMENT, "text is empty", ZCRPC_NTS);
  echo_v1_EchoReply_put_text(reply, text.data, text.len);
  return ZCRPC_OK;
}

// All that is ready, without waiting. False: the server has drained.
static bool turn(zcrpc_loop *loop) {
  zcrpc_event events[16];
  zcrpc_turn t{};
  t.struct_size = sizeof t;
  t.events = events;
  t.event_max = 16;
  do {
    if (zcrpc_loop_turn(loop, &t, nullptr)) return false;
    for (uint32_t i = 0; i < t.event_count; i++)
      if (events[i].kind == ZCRPC_EVENT_DRAINED) return false;
  } while (t.event_count);
  return true;
}

static void wait(asio::posix::stream_descriptor &ready, asio::io_context &io, zcrpc_loop *loop) {
  ready.async_wait(asio::posix::stream_descriptor::wait_read, [&, loop](boost::system::error_code) {
    if (turn(loop)) wait(ready, io, loop); else io.stop();
  });
}

int main(int argc, char **argv) {
  echo_v1_EchoService service{};
  service.echo = echo;
  Loop loop(zcrpc_loop_new(nullptr, nullptr), zcrpc_loop_free);  // outlives the server
  Server server(zcrpc_server_new(nullptr, nullptr), zcrpc_server_free);
  zcrpc_error *err = nullptr;
  if (!loop || !server || echo_v1_EchoService_register(server.get(), &service, &err) ||
      zcrpc_server_listen(server.get(), argc > 1 ? argv[1] : "127.0.0.1:8080", nullptr, &err) ||
      zcrpc_server_attach(server.get(), loop.get(), &err))
    return std::fprintf(stderr, "%s\n", zcrpc_error_message(err)), 1;
  asio::io_context io;
  asio::posix::stream_descriptor ready(io, zcrpc_loop_fd(loop.get()));
  asio::signal_set term(io, SIGTERM);
  term.async_wait([&](boost::system::error_code, int) { zcrpc_server_drain(server.get(), 2000); });
  wait(ready, io, loop.get());
  std::printf("listening %s\n", zcrpc_server_address(server.get(), 0));
  std::fflush(stdout);
  io.run();
  ready.release();  // the descriptor is the loop's
}
