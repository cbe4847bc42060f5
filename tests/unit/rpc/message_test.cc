// One message out of a body: in place when it can be, joined once when not, never above the limit, never half.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "rpc/message.h"
#include "support/fail_malloc.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}

using namespace zcrpc;
using base::Code;
using base::Slice;
using base::Status;
using compress::Coding;
using rpc::MessageReader;
using rpc::Side;

namespace {

compress::Pool* g_pool;

MessageReader::Options options(bool envelope, size_t limit = 1000, Coding coding = Coding::kIdentity) {
  MessageReader::Options o;
  o.envelope = envelope;
  o.limit = limit;
  o.coding = coding;
  o.coding_named = coding != Coding::kIdentity;
  o.pool = g_pool;
  return o;
}

std::string enveloped(const std::string& s, uint8_t flags = 0) {
  uint8_t head[5];
  rpc::write_envelope(head, flags, uint32_t(s.size()));
  return std::string(reinterpret_cast<char*>(head), 5) + s;
}

std::string squeeze(const std::string& s, Coding coding = Coding::kGzip) {
  compress::Deflater d;
  assert_true(d.begin(g_pool, coding, 0, s.size()).ok());
  assert_true(d.feed(Slice(std::string_view(s))).ok());
  base::BufferRef b(*d.finish());
  return std::string(b->slice().text());
}

// Feeds parts, each gone after its turn if they are many. The code; the message if it is OK.
Code read(MessageReader* m, const MessageReader::Options& o, const std::vector<std::string>& parts, std::string* out = nullptr) {
  m->begin(o);
  for (const std::string& p : parts) {
    std::vector<char> copy(p.begin(), p.end());
    Status s = m->data(Slice(copy.data(), copy.size()));
    if (s.ok()) s = m->own();
    if (!s.ok()) return s.code();
  }
  Status s = m->end();
  if (!s.ok()) return s.code();
  assert_true(m->complete());
  if (out) out->assign(m->message().text());
  return Code::kOk;
}

std::vector<std::string> bytes_of(const std::string& s) {
  std::vector<std::string> v;
  for (char c : s) v.push_back(std::string(1, c));
  return v;
}

void a_message_in_one_slice_is_copied(void**) {
  MessageReader m;
  for (bool envelope : {true, false}) {
    std::string body = envelope ? enveloped("hello") : "hello";
    m.begin(options(envelope));
    fail_malloc_at(0);
    assert_true(m.data(Slice(std::string_view(body))).ok());
    assert_true(m.end().ok());
    assert_int_equal(fail_malloc_count(), 0);
    fail_malloc_stop();
    assert_ptr_equal(m.message().data, body.data() + (envelope ? 5 : 0));
    assert_int_equal(m.message().size, 5);
    assert_true(m.borrowed());
    assert_null(m.buffer());
    assert_null(m.take());
    assert_int_equal(m.copies, 0);
  }
  // The envelope alone, then the message in one piece.
  std::string body = enveloped("hello");
  m.begin(options(true));
  assert_true(m.data(Slice(std::string_view(body).substr(0, 5))).ok());
  assert_false(m.complete());
  assert_true(m.data(Slice(std::string_view(body).substr(5))).ok());
  assert_true(m.complete() && m.borrowed());
  assert_int_equal(m.copies, 0);
}

void a_message_in_pieces_is_copied_twice(void**) {
  std::string s(50000, 'x');
  for (size_t i = 0; i < s.size(); i++) s[i] = char(i * 31 + i / 251);
  for (bool envelope : {true, false}) {
    MessageReader m;
    std::string body = envelope ? enveloped(s) : s, out;
    std::vector<std::string> parts;
    for (size_t i = 0; i < body.size(); i += 16384) parts.push_back(body.substr(i, 16384));
    auto o = options(envelope, 50000);
    if (!envelope) o.content_length = 50000;
    fail_malloc_at(0);
    assert_int_equal(int(read(&m, o, parts, &out)), int(Code::kOk));
    fail_malloc_stop();
    assert_true(out == s);
    assert_int_equal(m.copies, 1);
    assert_int_equal(m.bytes_copied, 50000);
    assert_true(m.buffer()->size() <= 50000);
    // The next one finds the memory there.
    m.reset();
    fail_malloc_at(0);
    m.begin(o);
    for (const std::string& p : parts) assert_true(m.data(Slice(std::string_view(p))).ok());
    assert_true(m.end().ok());
    assert_int_equal(fail_malloc_count(), 0);
    fail_malloc_stop();
    base::BufferRef b(m.take());
    assert_int_equal(b->size(), 50000);
    assert_true(b->slice().text() == s);
  }
}

void a_split_changes_the_message(void**) {
  MessageReader m;
  std::string out;
  for (const std::string& s : {std::string(), std::string("a"), std::string("hello world")}) {
    std::string body = enveloped(s), z = enveloped(squeeze(s + s), 1);
    for (size_t i = 0; i <= body.size(); i++) {
      assert_int_equal(int(read(&m, options(true), {body.substr(0, i), body.substr(i)}, &out)), int(Code::kOk));
      assert_true(out == s);
    }
    assert_int_equal(int(read(&m, options(true), bytes_of(body), &out)), int(Code::kOk));
    assert_true(out == s);
    for (size_t i = 0; i <= z.size(); i++) {
      assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {z.substr(0, i), z.substr(i)}, &out)), int(Code::kOk));
      assert_true(out == s + s);
    }
    assert_int_equal(int(read(&m, options(false), bytes_of(s), &out)), int(Code::kOk));
    assert_true(out == s);
    assert_int_equal(int(read(&m, options(false, 1000, Coding::kGzip), bytes_of(squeeze(s)), &out)), int(Code::kOk));
    assert_true(out == s);
  }
}

void the_limit_is_off_by_one_or_counts_the_envelope(void**) {
  MessageReader m;
  std::string exact(1000, 'x'), over(1001, 'x');
  for (auto parts : {0, 1}) {
    auto split = [&](const std::string& s) { return parts ? bytes_of(s) : std::vector<std::string>{s}; };
    assert_int_equal(int(read(&m, options(true), split(enveloped(exact)))), int(Code::kOk));
    assert_int_equal(int(read(&m, options(true), split(enveloped(over)))), int(Code::kResourceExhausted));
    assert_int_equal(int(read(&m, options(false), split(exact))), int(Code::kOk));
    assert_int_equal(int(read(&m, options(false), split(over))), int(Code::kResourceExhausted));
    for (bool envelope : {true, false}) {
      auto o = options(envelope, 1000, Coding::kGzip);
      auto wrap = [&](const std::string& s) { return envelope ? enveloped(squeeze(s), 1) : squeeze(s); };
      assert_int_equal(int(read(&m, o, split(wrap(exact)))), int(Code::kOk));
      assert_int_equal(int(read(&m, o, split(wrap(over)))), int(Code::kResourceExhausted));
    }
  }
  // At once: from five bytes, from a declared length, from what has come out so far.
  m.begin(options(true));
  assert_int_equal(int(m.data(Slice(std::string_view(enveloped(over)).substr(0, 5))).code()), int(Code::kResourceExhausted));
  auto o = options(false);
  o.content_length = 1001;
  m.begin(o);
  assert_int_equal(int(m.data(Slice(std::string_view("x"))).code()), int(Code::kResourceExhausted));
  std::string bomb = enveloped(squeeze(std::string(10 << 20, '\0')), 1);
  m.begin(options(true, 1000, Coding::kGzip));
  assert_int_equal(int(m.data(Slice(std::string_view(bomb).substr(0, 300))).code()), int(Code::kResourceExhausted));
  // Compressed bytes alone do not count, until they are absurd.
  std::string noise;
  for (uint32_t i = 0; i < 1000; i++) noise += char(i * i * 7919 >> 3);
  assert_true(squeeze(noise).size() > 1000);
  assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {enveloped(squeeze(noise), 1)})), int(Code::kOk));
  std::string empties;
  while (empties.size() < 7000) empties += squeeze("");
  assert_int_equal(int(read(&m, options(false, 1000, Coding::kGzip), {empties})), int(Code::kResourceExhausted));
}

void a_declared_length_is_believed(void**) {
  MessageReader m;
  auto o = options(true, size_t(1) << 30);
  m.begin(o);
  std::string body = enveloped("ab");
  body[1] = 0x3F;  // a gigabyte, it says
  assert_true(m.data(Slice(std::string_view(body))).ok());
  assert_true(m.buffer()->size() <= 16 << 10);
  o = options(false, size_t(1) << 30);
  o.content_length = 1 << 29;
  m.begin(o);
  assert_true(m.data(Slice(std::string_view("a"))).ok());
  assert_true(m.own().ok());
  assert_true(m.buffer()->size() <= 16 << 10);
}

void a_body_cut_short_is_a_message(void**) {
  MessageReader m;
  std::string body = enveloped("hello"), z = squeeze("hello hello hello");
  for (size_t i = 0; i < body.size(); i++) {
    Code expected = i == 0 ? Code::kUnimplemented : Code::kInvalidArgument;
    assert_int_equal(int(read(&m, options(true), {body.substr(0, i)})), int(expected));
    auto o = options(true);
    o.side = Side::kClient;
    assert_int_equal(int(read(&m, o, {body.substr(0, i)})), int(i == 0 ? Code::kUnimplemented : Code::kInternal));
  }
  for (size_t i = 1; i < z.size(); i++) {
    auto o = options(false, 1000, Coding::kGzip);
    assert_int_equal(int(read(&m, o, {z.substr(0, i)})), int(Code::kInvalidArgument));
    o.side = Side::kClient;
    assert_int_equal(int(read(&m, o, {z.substr(0, i)})), int(Code::kInternal));
    assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {enveloped(z.substr(0, i), 1)})), int(Code::kInvalidArgument));
  }
}

void zero_bytes_are_decompressed_or_no_message(void**) {
  MessageReader m;
  std::string out = "x";
  assert_int_equal(int(read(&m, options(false, 1000, Coding::kGzip), {}, &out)), int(Code::kOk));
  assert_true(out.empty());
  assert_int_equal(int(read(&m, options(false), {""}, &out)), int(Code::kOk));
  assert_int_equal(int(read(&m, options(true), {enveloped("")}, &out)), int(Code::kOk));
  assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {enveloped("", 1)}, &out)), int(Code::kOk));
  assert_true(out.empty());
}

void a_second_message_is_read(void**) {
  MessageReader m;
  std::string two = enveloped("a") + enveloped("b");
  assert_int_equal(int(read(&m, options(true), {two})), int(Code::kUnimplemented));
  // It is not even looked at: one byte of it is enough.
  assert_int_equal(int(read(&m, options(true), {enveloped("a"), "x"})), int(Code::kUnimplemented));
  assert_int_equal(int(read(&m, options(true), {enveloped("") + enveloped("")})), int(Code::kUnimplemented));
}

// Streams: messages one after the other, whatever the slices.
void messages_of_a_stream_run_together(void**) {
  MessageReader m;
  std::string body = enveloped("one") + enveloped("") + enveloped(std::string(300, 'x')) + enveloped(squeeze(std::string(500, 'z')), 1);
  const std::string expected[] = {"one", "", std::string(300, 'x'), std::string(500, 'z')};
  for (size_t step : {size_t(1), size_t(3), size_t(7), size_t(100), body.size()}) {
    m.begin(options(true, 500, Coding::kGzip));
    size_t count = 0;
    for (size_t at = 0; at < body.size(); at += step) {
      Slice s(body.data() + at, std::min(step, body.size() - at));
      while (s.size) {
        assert_true(m.take_from(&s).ok());
        if (!m.complete()) {
          assert_int_equal(s.size, 0);
          break;
        }
        assert_true(m.message().text() == expected[count]);
        count++;
        m.next();
        assert_true(m.between());
      }
    }
    assert_int_equal(count, 4);
    assert_true(m.between());
    assert_int_equal(m.body_bytes, body.size());
  }
  // What lies whole in a slice is not copied, and what is behind a message is not touched.
  m.begin(options(true));
  std::string two = enveloped("ab") + "rest";
  Slice s{std::string_view(two)};
  uint64_t copies = m.copies;
  assert_true(m.take_from(&s).ok());
  assert_true(m.complete() && m.borrowed() && s.text() == "rest" && m.message().data == reinterpret_cast<const uint8_t*>(two.data()) + 5);
  assert_int_equal(m.copies, copies);
}

void a_stream_that_was_cut_ends_well(void**) {
  MessageReader m;
  std::string body = enveloped("one") + enveloped("two");
  for (size_t n = 0; n <= body.size(); n++) {
    m.begin(options(true));
    Slice s(body.data(), n);
    while (s.size) {
      assert_true(m.take_from(&s).ok());
      if (m.complete()) m.next();
    }
    assert_int_equal(m.between(), n == 0 || n == 8 || n == 16);
  }
  // The limit holds for every message, and a mistake sticks out of the second one as of the first.
  for (const std::string& bad : {enveloped(std::string(11, 'x')), enveloped("x", 1), enveloped("x", 2), enveloped("x", 0x80)}) {
    m.begin(options(true, 10));
    std::string both = enveloped("fine") + bad;
    Slice s{std::string_view(both)};
    assert_true(m.take_from(&s).ok() && m.complete());
    m.next();
    assert_false(m.take_from(&s).ok());
  }
}

void flags_are_ignored(void**) {
  MessageReader m;
  assert_int_equal(int(read(&m, options(true), {enveloped("abc", 1)})), int(Code::kInternal));
  for (int flags : {2, 3, 0x80, 0x81, 255}) {
    assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {enveloped("abc", uint8_t(flags))})), int(Code::kInternal));
  }
  std::string out;
  assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {enveloped("plain")}, &out)), int(Code::kOk));
  assert_true(out == "plain");
  auto o = options(true);
  o.coding_named = true;  // grpc-encoding: identity
  assert_int_equal(int(read(&m, o, {enveloped("plain", 1)}, &out)), int(Code::kOk));
  assert_true(out == "plain");
  assert_int_equal(int(read(&m, options(true, 1000, Coding::kGzip), {enveloped("not gzip", 1)})), int(Code::kInvalidArgument));
}

// What nobody wants is not inflated, however it comes; what is wanted is the same message.
void a_message_is_inflated_before_it_is_wanted(void**) {
  std::string s(5000, 'x'), z = squeeze(s), out;
  for (rpc::Inflate when : {rpc::Inflate::kLate, rpc::Inflate::kAsked}) {
    for (bool envelope : {true, false}) {
      std::string body = envelope ? enveloped(z, 1) : z;
      for (size_t cut = 1; cut <= body.size(); cut++) {
        MessageReader m;
        auto o = options(envelope, 5000, Coding::kGzip);
        o.inflate = when;
        m.begin(o);
        uint64_t before = g_pool->inflates.load();
        assert_true(m.data(Slice(std::string_view(body).substr(0, cut))).ok());
        assert_true(m.data(Slice(std::string_view(body).substr(cut))).ok());
        assert_true(m.end().ok());
        bool one = cut == body.size() || (envelope && cut <= 5);
        bool late = when == rpc::Inflate::kAsked || one;
        assert_int_equal(g_pool->inflates.load() - before, late ? 0 : 1);
        assert_int_equal(m.packed(), late);
        assert_int_equal(m.copies, one || when == rpc::Inflate::kLate ? 0 : 1);
        assert_true(m.expand().ok());
        assert_false(m.packed() || m.borrowed());
        assert_true(m.message().text() == s);
        assert_true(m.expand().ok());
        assert_int_equal(g_pool->inflates.load() - before, 1);
      }
      // A slice that goes: the bytes are kept, and not inflated, or, late, inflated and not copied.
      MessageReader m;
      auto o = options(envelope, 5000, Coding::kGzip);
      o.inflate = when;
      m.begin(o);
      {
        std::string gone = body;
        assert_true(m.data(Slice(std::string_view(gone))).ok());
        assert_true(m.borrowed());
        assert_true(m.own().ok());
      }
      assert_int_equal(m.packed(), when == rpc::Inflate::kAsked);
      assert_true(m.end().ok() && m.expand().ok());
      assert_true(m.message().text() == s);
      base::BufferRef taken(m.take());
      assert_true(taken->slice().text() == s);
      // Over the limit, broken, cut: told when it is asked for.
      struct {
        std::string z;
        size_t limit;
        Code code;
      } bad[] = {{z, 4999, Code::kResourceExhausted}, {"not gzip", 5000, Code::kInvalidArgument}, {z.substr(0, z.size() - 1), 5000, Code::kInvalidArgument}};
      for (auto& b : bad) {
        auto p = options(envelope, b.limit, Coding::kGzip);
        p.inflate = when;
        std::string sent = envelope ? enveloped(b.z, 1) : b.z;
        m.begin(p);
        assert_true(m.data(Slice(std::string_view(sent))).ok() && m.end().ok());
        assert_int_equal(int(m.expand().code()), int(b.code));
      }
    }
    MessageReader m;
    auto o = options(false, 10, Coding::kGzip);
    o.inflate = when;
    std::string long_body(2 * 10 + 4097, 'x');
    m.begin(o);
    assert_int_equal(int(m.data(Slice(std::string_view(long_body))).code()), int(Code::kResourceExhausted));
    o.content_length = 2 * 10 + 4097;
    m.begin(o);
    assert_int_equal(int(m.data(Slice(std::string_view("x"))).code()), int(Code::kResourceExhausted));
    m.begin([&] {
      auto p = options(true, 10, Coding::kGzip);
      p.inflate = when;
      return p;
    }());
    uint8_t head[5];
    rpc::write_envelope(head, 1, 2 * 10 + 4097);
    assert_int_equal(int(m.data(Slice(head, 5)).code()), int(Code::kResourceExhausted));
  }
}

// A stream's messages that were handed over come back to the pool: in a steady one nothing is allocated.
void a_message_that_was_taken_is_memory_lost(void**) {
  MessageReader m;
  std::string s(20000, 'y'), body = enveloped(s) + enveloped(squeeze(s), 1);
  m.begin(options(true, 20000, Coding::kGzip));
  auto round = [&] {
    for (size_t i = 0; i < body.size();) {
      Slice part = Slice(std::string_view(body).substr(i, 7000));
      i += part.size;
      while (part.size) {
        assert_true(m.take_from(&part).ok());
        if (!m.complete()) break;
        assert_true(m.own().ok());
        base::BufferRef taken(m.take());
        assert_true(taken->slice().text() == s);
        m.next();
      }
    }
  };
  for (int i = 0; i < 3; i++) round();
  fail_malloc_at(0);
  for (int i = 0; i < 10; i++) round();
  assert_int_equal(fail_malloc_count(), 0);
  fail_malloc_stop();
}

void a_query_is_decoded_wrong(void**) {
  MessageReader m;
  struct {
    const char* text;
    bool base64;
    Code code;
    const char* out;
  } cases[] = {
      {"", false, Code::kOk, ""},
      {"", true, Code::kOk, ""},
      {"%7B%22a%22%3a1%7D", false, Code::kOk, "{\"a\":1}"},
      {"a+b%2Bc", false, Code::kOk, "a b+c"},
      {"aGVsbG8", true, Code::kOk, "hello"},
      {"aGVsbG8=", true, Code::kOk, "hello"},
      {"aGVsbG8%3D", true, Code::kOk, "hello"},
      {"Pz8_Pj4-", true, Code::kOk, "?\x3f?>>>"},
      {"Pz8/Pj4+", true, Code::kOk, "?\x3f?>>>"},
      {"a", true, Code::kInvalidArgument, ""},
      {"aGV$", true, Code::kInvalidArgument, ""},
      {"%", false, Code::kInvalidArgument, ""},
      {"%4", false, Code::kInvalidArgument, ""},
      {"%4g", false, Code::kInvalidArgument, ""},
  };
  for (auto& c : cases) {
    m.begin(options(false));
    assert_int_equal(int(m.query(c.text, c.base64).code()), int(c.code));
    if (c.code == Code::kOk) assert_true(m.message().text() == c.out);
  }
  m.begin(options(false, 5));
  assert_true(m.query("aGVsbG8", true).ok());
  m.begin(options(false, 4));
  assert_int_equal(int(m.query("aGVsbG8", true).code()), int(Code::kResourceExhausted));
  // Compressed too: gzip of "hello hello hello".
  std::string z = squeeze("hello hello hello"), hex;
  for (char c : z) {
    const char* digits = "0123456789abcdef";
    hex += std::string("%") + digits[uint8_t(c) >> 4] + digits[uint8_t(c) & 15];
  }
  m.begin(options(false, 17, Coding::kGzip));
  assert_true(m.query(hex, false).ok());
  assert_true(m.message().text() == "hello hello hello");
  m.begin(options(false, 16, Coding::kGzip));
  assert_int_equal(int(m.query(hex, false).code()), int(Code::kResourceExhausted));
}

void a_lack_of_memory_crashes_or_leaks(void**) {
  std::string z = enveloped(squeeze(std::string(30000, 'a')), 1), plain = enveloped(std::string(30000, 'b'));
  for (long n = 1;; n++) {
    assert_true(n < 100);
    long before = fail_malloc_live();
    Code a = Code::kOk, b = Code::kOk;
    fail_malloc_at(n);
    {
      compress::Pool pool;
      MessageReader m;
      auto o = options(true, 100000, Coding::kGzip);
      o.pool = &pool;
      auto feed = [&](const std::string& s) {
        m.begin(o);
        for (size_t i = 0; i < s.size(); i += 10000) ZCRPC_TRY(m.data(Slice(std::string_view(s).substr(i, 10000))));
        return m.end();
      };
      a = feed(z).code();
      b = feed(plain).code();
    }
    int failed = fail_malloc_stop();
    assert_int_equal(fail_malloc_live(), before);
    if (!failed) break;
    assert_true(a == Code::kResourceExhausted || a == Code::kOk);
    assert_true(b == Code::kResourceExhausted || b == Code::kOk);
  }
}

}  // namespace

int main() {
  compress::Pool pool;
  g_pool = &pool;
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_message_in_one_slice_is_copied),
      cmocka_unit_test(a_message_in_pieces_is_copied_twice),
      cmocka_unit_test(a_split_changes_the_message),
      cmocka_unit_test(the_limit_is_off_by_one_or_counts_the_envelope),
      cmocka_unit_test(a_declared_length_is_believed),
      cmocka_unit_test(a_body_cut_short_is_a_message),
      cmocka_unit_test(zero_bytes_are_decompressed_or_no_message),
      cmocka_unit_test(a_second_message_is_read),
      cmocka_unit_test(messages_of_a_stream_run_together),
      cmocka_unit_test(a_stream_that_was_cut_ends_well),
      cmocka_unit_test(flags_are_ignored),
      cmocka_unit_test(a_message_is_inflated_before_it_is_wanted),
      cmocka_unit_test(a_message_that_was_taken_is_memory_lost),
      cmocka_unit_test(a_query_is_decoded_wrong),
      cmocka_unit_test(a_lack_of_memory_crashes_or_leaks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
