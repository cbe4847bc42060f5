// zcrpc.h, section 10: a channel to a server of this process.
#include "capi/channel.h"

#include <new>

#include "capi/loop.h"
#include "capi/server.h"
#include "server/local.h"

#include "capi/guard.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Result;
using base::Status;
using server::LocalExchange;

namespace {

// The client's seam, with a server's exchange behind it.
struct InprocTransport : client::Transport {
  net::Loop* loop;
  server::Server* server;
  const base::Allocator* allocator;  // may be needed after the loop
};

// [inside the client's loop]
void answered(LocalExchange* e, void* user) {
  auto* sink = static_cast<client::HttpSink*>(user);
  if (e->failure.ok()) {
    bool on = sink->status(sink, e->status);
    for (size_t i = 0; on && i < e->answer_headers.size(); i++) on = sink->header(sink, e->answer_headers.name(i), e->answer_headers.value(i).text());
    if (on && e->answer_body->size()) (void)sink->data(sink, e->answer_body->slice());
  }
  sink->ended(sink, std::move(e->failure));
  e->release();
}

Result<client::HttpExchange*> start(client::Transport* t, const client::HttpRequest& r, client::HttpSink* sink) {
  auto* self = static_cast<InprocTransport*>(t);
  LocalExchange* e = LocalExchange::make(self->loop, answered, sink);
  if (!e) return Status::no_memory();
  e->get = r.get;
  e->target.append(r.target);
  Status s = e->target.ok() && e->headers.add_all(*r.headers) ? Status() : Status::no_memory();
  if (s.ok() && r.body.size) {
    e->body.reset(base::Buffer::make(r.body.size));
    if (e->body) memcpy(e->body->writable(), r.body.data, r.body.size);
    else s = Status::no_memory();
  }
  if (s.ok()) s = e->begin(self->server);
  if (!s.ok()) {
    e->release();
    return s;
  }
  return reinterpret_cast<client::HttpExchange*>(e);
}

void cancel(client::Transport*, client::HttpExchange* exchange) {
  auto* e = reinterpret_cast<LocalExchange*>(exchange);
  e->cancel();
  e->release();
}

void free_transport(client::Transport* t) {
  auto* self = static_cast<InprocTransport*>(t);
  const base::Allocator* a = self->allocator;
  base::drop_in(a, self);
}

Result<client::Transport*> make_transport(net::Loop* loop, void* user) {
  auto* t = base::make_in<InprocTransport>(loop->allocator());
  if (!t) return Status::no_memory();
  t->start = start;
  t->cancel = cancel;
  t->free = free_transport;
  t->loop = loop;
  t->allocator = loop->allocator();
  t->server = static_cast<server::Server*>(user);
  return static_cast<client::Transport*>(t);
}

}  // namespace

zcrpc_channel* zcrpc_channel_new_inproc(zcrpc_loop* l, zcrpc_server* s, const zcrpc_options* o, zcrpc_error** err) {
  return guard(err, [&]() -> Result<client::Channel*> {
    if (!s) return wrong("zcrpc_channel_new_inproc: no server");
    client::ChannelConfig config;
    ZCRPC_TRY(read_channel(o, &config));
    config.transport = make_transport;
    config.transport_user = from_c(s);
    Loop* loop = from_c(l);
    if (loop && loop->net->forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
    return client::Channel::make(loop ? loop->net : nullptr, loop ? &loop->hub : nullptr, "http://inproc", config);
  });
}
