#include "rpc/web_text.h"

#include "json/write.h"

namespace zcrpc::rpc {

using base::Slice;

namespace {

struct Table {
  int8_t of[256];
  constexpr Table() : of() {
    for (int i = 0; i < 256; i++) of[i] = -1;
    constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 64; i++) of[uint8_t(kAlphabet[i])] = int8_t(i);
  }
};
constexpr Table kTable;

}  // namespace

// The bytes of the open quantum, which has two to four characters.
size_t TextDecoder::flush(uint8_t* p) {
  uint32_t b = bits_ << (6 * (4 - chars_));
  size_t n = chars_ - 1u;
  for (size_t i = 0; i < n; i++) p[i] = uint8_t(b >> (16 - 8 * i));
  bits_ = 0;
  chars_ = pads_ = 0;
  return n;
}

TextDecoder::Result TextDecoder::feed(Slice text, base::Vec<uint8_t>* out) {
  size_t before = out->size();
  uint8_t* p = out->grow(text.size / 4 * 3 + 6);
  if (!p) return Result::kNoMemory;
  uint8_t* start = p;
  for (uint8_t c : text) {
    if (c == '=') {
      if (chars_ < 2) return Result::kBroken;
      pads_++;
    } else {
      int v = kTable.of[c];
      if (v < 0 || pads_) return Result::kBroken;
      bits_ = bits_ << 6 | uint32_t(v);
      chars_++;
    }
    if (chars_ + pads_ == 4) p += flush(p);
  }
  out->truncate(before + size_t(p - start));
  return Result::kOk;
}

TextDecoder::Result TextDecoder::end(base::Vec<uint8_t>* out) {
  if (chars_ == 0) return Result::kOk;
  if (chars_ == 1 || pads_) return Result::kBroken;
  uint8_t last[3];
  size_t n = flush(last);
  return out->append(last, n) ? Result::kOk : Result::kNoMemory;
}

void TextEncoder::add(Slice s) {
  while (open_size_ && open_size_ < 3 && s.size) {
    open_[open_size_++] = *s.data;
    s = s.from(1);
  }
  if (open_size_ == 3) end();
  if (open_size_) return;
  size_t whole = s.size / 3 * 3;
  json::append_base64(out_, s.part(0, whole), json::Alphabet::kStandard, true);
  for (uint8_t c : s.from(whole)) open_[open_size_++] = c;
}

void TextEncoder::end() {
  json::append_base64(out_, {open_, open_size_}, json::Alphabet::kStandard, true);
  open_size_ = 0;
}

}  // namespace zcrpc::rpc
