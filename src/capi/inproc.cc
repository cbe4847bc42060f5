// zcrpc.h, section 10: a channel to a server of this process.
#include "capi/channel.h"

#include <cstring>
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

// The client's seam, with a server's exchanges behind it.
struct InprocTransport : client::Transport {
  net::Loop* loop;
  server::Server* server;
  const base::Allocator* allocator;  // may be needed after the loop
};

// One of them, as the client sees it: until it has ended, or was canceled.
struct Carried : server::LocalClient {
  LocalExchange* exchange;
  client::HttpSink* sink;
  const base::Allocator* allocator;
};

Carried* of(client::HttpExchange* e) { return reinterpret_cast<Carried*>(e); }

void drop(Carried* c) {
  c->exchange->release();
  base::drop_in(c->allocator, c);
}

// [inside the client's loop]
bool on_head(server::LocalClient* client, LocalExchange* e) {
  client::HttpSink* sink = static_cast<Carried*>(client)->sink;
  bool on = sink->status(sink, e->status);
  for (size_t i = 0; on && i < e->answer_headers.size(); i++) on = sink->header(sink, e->answer_headers.name(i), e->answer_headers.value(i).text());
  return on;
}

bool on_piece(server::LocalClient* client, const base::Piece& p) {
  client::HttpSink* sink = static_cast<Carried*>(client)->sink;
  bool on = sink->data(sink, p.bytes, p.buffer);
  p.buffer->release();
  return on;
}

void on_writable(server::LocalClient* client) {
  client::HttpSink* sink = static_cast<Carried*>(client)->sink;
  if (sink->writable) sink->writable(sink);
}

void on_ended(server::LocalClient* client, Status s) {
  auto* c = static_cast<Carried*>(client);
  c->sink->ended(c->sink, std::move(s));
  drop(c);
}

Status ask(LocalExchange* e, server::Server* s, const client::HttpRequest& r) {
  e->get = r.get;
  e->streams = r.streams;
  e->target.append(r.target);
  if (!e->target.ok() || !e->headers.add_all(*r.headers)) return Status::no_memory();
  if (!r.streams) {
    base::BufferRef copy;
    if (r.body.size && !r.buffer) {
      copy.reset(base::Buffer::make(r.body.size));
      if (!copy) return Status::no_memory();
      memcpy(copy->writable(), r.body.data, r.body.size);
    }
    base::Piece body{copy ? copy->slice() : r.body, copy ? copy.get() : r.buffer};
    if (!e->send({&body, 1}, true)) return Status::no_memory();
  }
  return e->begin(s);
}

Result<client::HttpExchange*> start(client::Transport* t, const client::HttpRequest& r, client::HttpSink* sink) {
  auto* self = static_cast<InprocTransport*>(t);
  auto* c = base::make_in<Carried>(self->allocator);
  if (!c) return Status::no_memory();
  c->head = on_head;
  c->piece = on_piece;
  c->writable = on_writable;
  c->ended = on_ended;
  c->sink = sink;
  c->allocator = self->allocator;
  c->exchange = LocalExchange::make(self->loop, c);
  if (!c->exchange) {
    base::drop_in(c->allocator, c);
    return Status::no_memory();
  }
  if (Status s = ask(c->exchange, self->server, r); !s.ok()) {
    drop(c);
    return s;
  }
  return reinterpret_cast<client::HttpExchange*>(c);
}

void cancel(client::Transport*, client::HttpExchange* e) {
  of(e)->exchange->cancel();
  drop(of(e));
}

bool send(client::Transport*, client::HttpExchange* e, std::span<const base::Piece> pieces, bool last) {
  return of(e)->exchange->send(pieces, last);
}

void used(client::Transport*, client::HttpExchange* e, size_t n) { of(e)->exchange->used(n); }

size_t room(client::Transport*, client::HttpExchange* e, size_t window) { return of(e)->exchange->room(window); }

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
  t->send = send;
  t->used = used;
  t->room = room;
  t->by_reference = true;
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
    config.streams = true;
    config.http = 0;
    Loop* loop = from_c(l);
    if (loop && loop->net->forked()) return Status(Code::kFailedPrecondition, "the loop belongs to the parent process");
    return client::Channel::make(loop ? loop->net : nullptr, loop ? &loop->hub : nullptr, "http://inproc", config);
  });
}
