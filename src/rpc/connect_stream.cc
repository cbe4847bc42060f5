#include "rpc/connect_stream.h"

#include "base/header.h"

namespace zcrpc::rpc {

using base::Code;
using base::Slice;
using base::Status;
using compress::Coding;

void ConnectStreamAnswer::begin(Codec codec, size_t limit, compress::Pool* pool, const compress::Registry* codings) {
  codec_ = codec;
  limit_ = limit;
  pool_ = pool;
  codings_ = codings;
}

bool ConnectStreamAnswer::header(std::string_view name, std::string_view value) {
  if (name == "content-type") {
    value = value.substr(0, value.find(';'));
    type_ = base::is_ignoring_case(value, "application/connect+proto")  ? Type::kProto
            : base::is_ignoring_case(value, "application/connect+json") ? Type::kJson
                                                                        : Type::kOther;
    return true;
  }
  if (name == "connect-content-encoding") {
    coding_ = codings_->find(value);
    coding_named_ = true;
    return true;
  }
  if (reserved_header(name) || add_metadata(&headers_, name, value)) return true;
  no_memory_ = true;
  return false;
}

Status ConnectStreamAnswer::check() {
  if (no_memory_) return Status::no_memory();
  if (http_ != 200) return Status::format(code_from_http(http_), "HTTP status %d", http_);
  if (type_ != (codec_ == Codec::kJson ? Type::kJson : Type::kProto))
    return Status(type_ == Type::kOther ? Code::kUnknown : Code::kInternal, "the answer has an unexpected content type");
  if (coding_ == Coding::kUnknown) return Status(Code::kInternal, "the answer has an unknown compression");
  return {};
}

// The first mistake is the one that is told, here and by finish.
Status ConnectStreamAnswer::fail(Status s) {
  failed_ = true;
  const base::Error* e = s.error();
  Status again = e->is_static() ? Status::no_memory() : Status(e->code(), e->message_view());
  end_ = std::move(s);
  return again;
}

Status ConnectStreamAnswer::take(Slice* s) {
  if (failed_) return Status(end_.code(), "the stream is broken");
  if (!began_) {
    began_ = true;
    if (Status bad = check(); !bad.ok()) return fail(std::move(bad));
    MessageReader::Options o;
    o.envelope = true;
    o.coding = coding_;
    o.coding_named = coding_named_;
    o.end_flag = kEnd;
    o.limit = limit_;
    o.side = Side::kClient;
    o.pool = pool_;
    o.codings = codings_;
    reader_.begin(o);
  }
  if (over_) return s->empty() ? Status() : fail(Status(Code::kInternal, "something comes behind the stream's end"));
  if (Status st = reader_.take_from(s); !st.ok()) return fail(std::move(st));
  if (!reader_.complete() || !reader_.is_end()) return {};
  over_ = true;
  end_ = read_end_json(reader_.message(), &trailers_);
  if (end_.error() && !end_.error()->is_static()) (void)end_.error()->metadata()->add_all(headers_);
  reader_.next();
  return {};
}

Status ConnectStreamAnswer::finish() {
  if (!began_) {
    if (Status bad = check(); !bad.ok()) return bad;
  }
  if (over_ || failed_) return std::move(end_);
  return Status(Code::kInternal, reader_.between() ? "the stream ended without its end" : "the stream was cut short");
}

}  // namespace zcrpc::rpc
