// A request's head and body as rpc reads them: any bytes, any cut of the body, the same result; and the formats that peers
// put into headers and error bodies.
#include <zcrpc.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "rpc/connect.h"
#include "rpc/grpc.h"
#include "rpc/message.h"
#include "rpc/reply.h"
#include "rpc/request.h"

using namespace zcrpc;

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

std::string_view line(std::string_view* rest) {
  size_t at = rest->find('\n');
  std::string_view part = rest->substr(0, at);
  rest->remove_prefix(at == std::string_view::npos ? rest->size() : at + 1);
  return part;
}

// What became of the body: a code, or the message.
std::string read(rpc::MessageReader* m, const rpc::MessageReader::Options& o, std::string_view body, size_t step) {
  m->begin(o);
  base::Status s;
  for (size_t i = 0; s.ok() && i < body.size(); i += step) {
    std::string_view part = body.substr(i, step);
    std::unique_ptr<char[]> copy(new char[part.size()]);
    memcpy(copy.get(), part.data(), part.size());
    s = m->data(base::Slice(copy.get(), part.size()));
    if (s.ok()) s = m->own();
  }
  if (s.ok()) s = m->end();
  if (!s.ok()) return "!" + std::to_string(int(s.code()));
  require(m->message().size <= o.limit);
  return "=" + std::string(m->message().text());
}

void check_headers(std::span<const base::Header> list) {
  for (const base::Header& h : list) {
    require(!h.name.empty());
    for (char c : h.name) require(c > ' ' && c < 0x7F && !(c >= 'A' && c <= 'Z'));
    for (char c : h.value) require(c >= ' ' && c < 0x7F);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  uint8_t flags = data[0];
  size_t step = 1 + data[1] % 40u;
  std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
  rpc::Request r;
  r.set_http2(flags & 1);
  std::string_view method = line(&rest), target = line(&rest);
  require(r.set_line(method, target));
  while (!rest.empty()) {
    std::string_view value = line(&rest);
    if (value.empty()) break;
    size_t colon = value.find(':');
    std::string_view name = value.substr(0, colon);
    value.remove_prefix(colon == std::string_view::npos ? value.size() : colon + 1);
    require(r.add(name, value));
  }
  rpc::RequestRules rules;
  rules.require_connect_version = flags & 2;
  int32_t method_flags = (flags >> 2 & 15) - (flags & 64 ? 16 : 0);
  rpc::Refusal refusal = r.classify(method_flags < 0 ? -1 : method_flags, rules);
  rpc::Reply reply;
  if (refusal) {
    require(reply.refuse(r, refusal).ok());
    require(reply.status() >= 200 && reply.is_error());
    check_headers(reply.headers());
    return 0;
  }
  require(r.protocol() != rpc::Protocol::kNone && r.timeout_ns() >= 0);
  base::Status ok = reply.ok(r, rest.size(), r.preferred(), &r.metadata(), &r.metadata());
  if (ok.ok()) check_headers(reply.headers()), check_headers(reply.trailers());

  compress::Pool pool;
  rpc::MessageReader::Options o;
  o.envelope = r.protocol() == rpc::Protocol::kGrpc;
  o.coding = r.coding();
  o.coding_named = r.coding_named();
  o.limit = flags & 128 ? 100 : 100000;
  o.pool = &pool;
  rpc::MessageReader m;
  if (r.protocol() == rpc::Protocol::kConnectGet) {
    m.begin(o);
    base::Status s = m.query(r.get_message(), r.get_base64());
    require(!s.ok() || m.message().size <= o.limit);
  } else {
    std::string whole = read(&m, o, rest, rest.size() ? rest.size() : 1);
    require(read(&m, o, rest, 1) == whole);
    require(read(&m, o, rest, step) == whole);
  }

  base::Status e(rpc::read_error_json(base::Slice(rest), base::Code::kUnavailable, "otherwise"));
  require(!e.ok() && int(e.code()) <= 16);
  require(reply.error(r, *e.error(), &r.metadata(), nullptr).ok());
  check_headers(reply.headers());
  base::Status g(rpc::read_grpc_error("7", rest, rest));
  require(g.code() == base::Code::kPermissionDenied);
  base::Status b(rpc::read_status(base::Slice(rest)));
  if (!b.ok()) {
    base::Arena arena;
    base::Slice again = rpc::write_status(*b.error(), &arena);
    base::Status c(rpc::read_status(again));
    require(!c.ok() && c.error()->detail_count() == b.error()->detail_count());
  }
  return 0;
}
