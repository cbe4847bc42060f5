// A stream of Connect's, seen from its client: what comes is messages in envelopes, and behind them the protocol's end.
#pragma once

#include "base/metadata.h"
#include "base/slice.h"
#include "base/status.h"
#include "rpc/connect.h"
#include "rpc/message.h"

namespace zcrpc::rpc {

class ConnectStreamAnswer {
 public:
  void begin(Codec codec, size_t limit, compress::Pool* pool, const compress::Registry* codings);
  // The head, as a transport tells it. False: no memory; finish tells so.
  void status(int http) { http_ = http; }
  bool header(std::string_view name, std::string_view value);  // name in lower case

  // Takes from the front of *s until a message is complete (then reader() has it, and reader().next() comes before more), or
  // until the end was read. An error: nothing more can be read, and finish says the same.
  base::Status take(base::Slice* s);
  bool has_message() const { return reader_.complete() && !over_; }
  bool over() const { return over_; }
  // Whether what comes next is no message, and may be read though nobody asked for one.
  bool at_end(base::Slice next) const { return over_ || http_ != 200 || (reader_.between() && next.size && (next.data[0] & kEnd)); }
  // The body has ended. OK: so has the stream. Else the peer's error with its details and metadata, or what was wrong.
  base::Status finish();

  MessageReader& reader() { return reader_; }
  base::Metadata& headers() { return headers_; }
  base::Metadata& trailers() { return trailers_; }

 private:
  static constexpr uint8_t kEnd = 2;
  base::Status check();
  base::Status fail(base::Status s);
  base::Status ended();

  MessageReader reader_;
  base::Metadata headers_, trailers_;
  base::Status end_;                // what finish says, once over_ or failed_
  compress::Pool* pool_ = nullptr;
  const compress::Registry* codings_ = &compress::kRegistry;
  size_t limit_ = 0;
  int http_ = 0;
  Codec codec_ = Codec::kProto;
  compress::Coding coding_ = compress::Coding::kIdentity;
  enum class Type : uint8_t { kOther, kProto, kJson } type_ = Type::kOther;
  bool coding_named_ = false, began_ = false, over_ = false, failed_ = false, no_memory_ = false;
};

}  // namespace zcrpc::rpc
