// The body of a stream as the server reads it: envelopes, compressed or not, in every coding, cut anywhere; and the same bytes
// as compressed data alone. However they are cut, the same messages come out, none above the limit; and what was packed and
// unpacked again is what it was.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "compress/compress.h"
#include "rpc/message.h"

using namespace zcrpc;
using compress::Coding;

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

// All messages, one behind the other, and how it ended.
std::string read(const rpc::MessageReader::Options& o, std::string_view body, size_t step) {
  rpc::MessageReader m;
  m.begin(o);
  std::string all;
  for (size_t i = 0; i < body.size(); i += step) {
    std::string_view piece = body.substr(i, step);
    std::unique_ptr<char[]> copy(new char[piece.size()]);
    memcpy(copy.get(), piece.data(), piece.size());
    base::Slice s(copy.get(), piece.size());
    while (s.size) {
      if (!m.take_from(&s).ok()) return all + "!";
      if (!m.complete()) break;
      if (!m.own().ok()) return all + "!";
      require(m.message().size <= o.limit);
      all += std::to_string(m.message().size) + ":";
      all += m.message().text();
      if (m.message().size % 2) {
        // As a delivery does: the buffer goes away, and comes back to the pool.
        base::BufferRef taken(m.take());
        require(!taken || taken->size() == m.message().size);
      }
      m.next();
    }
    if (!m.own().ok()) return all + "!";
  }
  return all + (m.between() ? "." : "~");
}

std::string inflate(compress::Pool* pool, Coding c, std::string_view z, size_t limit, size_t step) {
  compress::Inflater f;
  require(f.begin(pool, c, limit).ok());
  for (size_t i = 0; i < z.size(); i += step)
    if (!f.feed(base::Slice(z.substr(i, step))).ok()) return "!";
  auto r = f.finish();
  if (!r.ok()) return "!";
  std::string out((*r)->slice().text());
  (*r)->release();
  require(out.size() <= limit);
  return "=" + out;
}

// libzstd does not compare a frame's declared size with what came when its last block is empty, unless it has the whole frame
// at once: such a frame may be refused in one way and taken in the other.
bool same(Coding c, const std::string& a, const std::string& b) {
  auto refused = [](const std::string& x, const std::string& y) { return x.ends_with('!') && y.starts_with(x.substr(0, x.size() - 1)); };
  return a == b || (c == Coding::kZstd && (refused(a, b) || refused(b, a)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Coding codings[] = {Coding::kIdentity, Coding::kGzip, Coding::kZstd, Coding::kBr, Coding::kSnappy, Coding::kDeflate};
  Coding coding = codings[data[0] % 6];
  if (compress::kRegistry.name(coding).empty()) return 0;
  size_t step = 1 + data[1] % 50u;
  std::string_view body(reinterpret_cast<const char*>(data + 2), size - 2);
  static compress::Pool* pool = new compress::Pool;  // contexts of one input serve the next
  rpc::MessageReader::Options o;
  o.envelope = true;
  o.coding = coding;
  o.coding_named = coding != Coding::kIdentity;
  o.limit = data[0] & 128 ? 100 : 100000;
  o.pool = pool;
  std::string whole = read(o, body, body.size() ? body.size() : 1);
  require(same(coding, read(o, body, step), whole));
  require(same(coding, read(o, body, 1), whole));
  if (coding == Coding::kIdentity) return 0;
  std::string plain = inflate(pool, coding, body, o.limit, body.size() ? body.size() : 1);
  require(same(coding, inflate(pool, coding, body, o.limit, step), plain));

  compress::Deflater d;
  require(d.begin(pool, coding, data[1] >> 6, body.size()).ok());
  for (size_t i = 0; i < body.size(); i += step) require(d.feed(base::Slice(body.substr(i, step))).ok());
  auto r = d.finish();
  require(r.ok());
  base::BufferRef z(*r);
  require(inflate(pool, coding, z->slice().text(), body.size(), step) == "=" + std::string(body));
  return 0;
}
