// Projections against eager views: what a mask names reads the same, the rest is absent; every dispatcher makes the same.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "unit/view/oracle.h"
#include "view/project.h"

#include "support/cmocka.h"

namespace {

using namespace zcrpc;
using oracle::Decoded;
using oracle::PbMessage;
using oracle::Random;
using schema::Field;
using schema::MaskNode;
using schema::Message;
using schema::View;

constexpr uint32_t kFlags = schema::kMaskThroughRepeated | schema::kMaskThroughMaps;

// A random path from the type on.
std::string some_path(const Message* type, Random& random) {
  std::string path;
  for (int depth = 0;; depth++) {
    const size_t n = type->fields.size(), all = n + type->extensions.size();
    if (all == 0) return path;
    const size_t i = random() % all;
    const Field* f = i < n ? &type->fields[i] : type->extensions[i - n];
    if (!path.empty()) path += '.';
    path += f->extension ? "[" + std::string(f->full_name) + "]" : std::string(f->name);
    if (!f->message || depth == 3 || random() % 4 == 0 || f->message->fields.empty()) return path;
    type = f->message;
  }
}

// What is selected of a message, for comparing: all of it, a node, or nothing.
struct Selected {
  bool whole;
  const MaskNode* node;
  Selected of(const Field* f) const {
    const MaskNode* child = whole || !node ? nullptr : node->child(f->number);
    return {whole || (child && child->whole), child};
  }
  bool any() const { return whole || node; }
};

std::string differ(View e, View p, const Message* type, Selected s);

std::string element(const Field* f, const schema::Elements& a, const schema::Elements& b, const uint8_t* x, const uint8_t* y, View mx, View my, Selected s) {
  if (f->message) return differ(mx, my, f->message, s);
  if (schema::is_string(f->kind)) return a.string_at(x).text() == b.string_at(y).text() ? "" : "text";
  const uint64_t l = a.borrowed ? schema::Elements::wire_bits(f->kind, x) : schema::bits_at(f->kind, x);
  const uint64_t r = b.borrowed ? schema::Elements::wire_bits(f->kind, y) : schema::bits_at(f->kind, y);
  return l == r ? "" : "number";
}

std::string differ(View e, View p, const Field* f, Selected s) {
  if (schema::has(e, f) != schema::has(p, f)) return "presence";
  if (!f->repeated()) {
    if (f->message) return differ(schema::sub_message(e, f), schema::sub_message(p, f), f->message, s);
    if (schema::is_string(f->kind)) return schema::string(e, f).text() == schema::string(p, f).text() ? "" : "text";
    return schema::number(e, f) == schema::number(p, f) ? "" : "number";
  }
  const schema::Elements a = schema::elements(e, f), b = schema::elements(p, f);
  if (a.count != b.count) return "count";
  for (uint32_t i = 0; i < a.count; i++) {
    std::string why;
    if (f->is_map()) {
      const Field *key = f->map_key(), *value = f->map_value();
      const uint8_t *x = a.at(i), *y = b.at(i);
      why = element(key, a, b, x + key->offset, y + key->offset, nullptr, nullptr, s);
      if (!why.empty()) return "key " + why;
      why = element(value, a, b, x + value->offset, y + value->offset, value->message ? a.message_at(x + value->offset) : nullptr,
                    value->message ? b.message_at(y + value->offset) : nullptr, s.of(value));
    } else {
      why = element(f, a, b, a.at(i), b.at(i), f->message ? a.message(f->message, i) : nullptr, f->message ? b.message(f->message, i) : nullptr, s);
    }
    if (!why.empty()) return "[" + std::to_string(i) + "] " + why;
  }
  return "";
}

std::string differ(View e, View p, const Message* type, Selected s) {
  if (!e || !p) return e == p ? "" : "message";
  if (schema::unknown(p).size() != (s.whole ? schema::unknown(e).size() : 0)) return "unknown fields";
  std::string why;
  auto look = [&](const Field* f) {
    if (!why.empty()) return;
    const Selected child = s.of(f);
    if (child.any()) {
      why = differ(e, p, f, child);
    } else if (schema::has(p, f)) {
      // Only the fellow of a named field in a oneof.
      bool fellow = false;
      if (f->oneof)
        for (const Field* other : f->oneof->fields) fellow |= s.of(other).any();
      if (!fellow || !schema::has(e, f)) why = "is there";
    }
    if (!why.empty()) why = std::string(f->name) + ": " + why;
  };
  for (const Field& f : type->fields) look(&f);
  for (const Field* f : type->extensions) look(f);
  return why;
}

struct Free {
  void operator()(view::Projection* p) const { p->release(); }
};
using Mask = std::unique_ptr<view::Projection, Free>;

Mask compile(const Message* type, const std::string& paths) {
  view::ProjectionBuilder b(type);
  base::Status s = b.add_list(paths);
  if (!s.ok()) fail_msg("%s: %s", paths.c_str(), s.message());
  return Mask(b.finish().value());
}

struct Tally {
  unsigned long both = 0, refused = 0;
};

void check(const PbMessage& prototype, const std::string& bytes, const std::string& paths, Tally* tally) {
  const std::string name = prototype.GetDescriptor()->full_name();
  const auto& all = oracle::schemas();
  std::string first;
  for (size_t i = 0; i < all.size(); i++) {
    const Message* type = all[i].schema->message(name);
    Mask mask = compile(type, paths);
    for (bool slack : {true, false}) {
      view::Limits limits;
      limits.projection = mask.get();
      Decoded p(type, bytes, slack, limits);
      std::string what = p.status.ok() ? p.index() : std::string(p.status.message()) + " at " + std::to_string(p.status.offset()) + p.status.path();
      if (i == 0 && slack) first = what;
      if (what != first) fail_msg("%s: %s: %s: the dispatchers differ", all[i].dispatcher->name, name.c_str(), paths.c_str());
      if (i || slack) continue;
      Decoded e(type, bytes, true);
      if (e.status.ok() && !p.status.ok()) fail_msg("%s: %s: refused: %s", name.c_str(), paths.c_str(), p.status.message());
      if (!p.status.ok()) tally->refused++;
      if (!e.status.ok() || !p.status.ok()) continue;
      tally->both++;
      assert_int_equal(schema::index_of(p.view)->flags, ZCRPC_INDEX_PROJECTED);
      base::Arena arena;
      MaskNode* node = schema::mask_compile(type, paths, kFlags, &arena).value();
      const std::string why = differ(e.view, p.view, type, {false, node});
      if (!why.empty()) fail_msg("%s: %s: %s", name.c_str(), paths.c_str(), why.c_str());
    }
  }
}

unsigned long rounds() {
  const char* n = std::getenv("ZCRPC_ROUNDS");
  return n ? std::strtoul(n, nullptr, 10) : 1;
}

void what_a_mask_names_reads_as_in_the_whole(void**) {
  Random random(99);
  Tally tally;
  for (unsigned long i = 0; i < 6000 * rounds(); i++) {
    const PbMessage& type = *oracle::roots()[random() % oracle::roots().size()];
    const Message* t = oracle::schemas()[0].schema->message(type.GetDescriptor()->full_name());
    std::string paths = some_path(t, random), bytes;
    for (uint64_t n = random() % 4; n; n--) paths += "," + some_path(t, random);
    for (uint64_t n = 1 + random() % 3; n; n--) {
      std::unique_ptr<PbMessage> m(type.New());
      oracle::fill(m.get(), random, int(random() % 4));
      bytes += oracle::encode(*m);
    }
    if (random() % 2) bytes = oracle::shuffled(bytes, random);
    check(type, bytes, paths, &tally);
    if (bytes.size() < 3000) check(type, oracle::mutated(bytes, random), paths, &tally);
  }
  assert_true(tally.both > 6000 && tally.refused > 500);
}

const Message* batch() { return oracle::schemas()[0].schema->message("bench.v1.LogBatch"); }

void what_is_wrong_in_a_mask_is_told(void**) {
  auto refuses = [](const char* paths, int64_t offset, const char* path) {
    view::ProjectionBuilder b(batch());
    const base::Status s = b.add_list(paths);
    assert_int_equal(s.code(), base::Code::kInvalidArgument);
    assert_string_equal(s.path(), path);
    assert_int_equal(s.offset(), offset);
  };
  refuses("records.severity,records.nothing", 25, "records.nothing");
  refuses("records.severity.more", 8, "records.severity.more");  // the name that nothing lies behind
  refuses("records,records.severity.more.still", 16, "records.severity.more.still");
  refuses("records.nothing.more", 8, "records.nothing.more");
  refuses("records.source.", 15, "records.source.");
  view::ProjectionBuilder b(batch());
  assert_true(b.add("records.source.line").ok());
  Mask m(b.finish().value());
  view::Limits limits;
  limits.projection = m.get();
  Decoded other(oracle::schemas()[0].schema->message("bench.v1.LogRecord"), "", true, limits);
  assert_int_equal(other.status.code(), base::Code::kInvalidArgument);
  limits.lazy = true;
  Decoded lazy(batch(), "", true, limits);
  assert_int_equal(lazy.status.code(), base::Code::kInvalidArgument);
}

// One hostile megabyte in what is skipped: no memory is taken for it.
void what_is_skipped_takes_no_memory(void**) {
  std::string bytes;
  while (bytes.size() < 1 << 20) bytes += std::string("\x1a\x00", 2) + std::string("\xfa\xff\x7f\x00", 4) + std::string("\xf3\x7f\xf4\x7f", 4);
  const Message* t = oracle::schemas()[0].schema->message("viewtest.two.Tree");
  Mask m = compile(t, "id");
  view::Limits limits;
  limits.projection = m.get();
  Decoded d(t, bytes, true, limits);
  if (!d.status.ok()) fail_msg("%s at %ld", d.status.message(), long(d.status.offset()));
  assert_true(schema::index_of(d.view)->size < 200);
}

std::string field(char tag, const std::string& bytes) { return std::string(1, tag) + char(bytes.size()) + bytes; }

// Records that are nearly alike: the skipping walk goes by what the record before had in the same places, and must see every
// field that is not so. One field is gone, comes twice, has another length or value, is out of its place, or is cut.
void a_record_that_differs_from_the_one_before_is_read_as_it_is(void**) {
  Random random(7);
  Tally tally;
  auto name = [](const char* type) {
    for (const PbMessage* m : oracle::roots())
      if (m->GetDescriptor()->full_name() == type) return m;
    return static_cast<const PbMessage*>(nullptr);
  };
  const PbMessage* log = name("bench.v1.LogBatch");
  assert_non_null(log);
  constexpr const char* kMasks[] = {"records.timestamp,records.span_id", "records.source.file,records.severity", "records.message", "records.labels",
                                    "records.source.line,records.trace_id,records.service"};
  for (unsigned long i = 0; i < 1500 * rounds(); i++) {
    std::string bytes;
    const uint64_t often = 1 + random() % 20;
    for (uint64_t n = 3 + random() % 30; n; n--) {
      std::vector<std::string> fields = {std::string("\x08\xE8\x07", 3), field(0x12, "api"), field(0x1A, "i-1"), std::string("\x20\x02", 2),
                                         field(0x2A, std::string(random() % often ? 30 : random() % 100, 'm'))};
      for (const char* key : {"a", "b", "c"}) fields.push_back(field(0x32, field(0x0A, key) + field(0x12, "v")));
      fields.push_back(field(0x3A, "trace"));
      fields.push_back(field(0x42, "span"));
      fields.push_back(field(0x4A, field(0x0A, "f.rs") + std::string("\x10\x05", 2) + field(0x1A, "main")));
      if (random() % often == 0) {
        const size_t k = random() % fields.size(), other = random() % fields.size();
        switch (random() % 6) {
          case 0: fields.erase(fields.begin() + ptrdiff_t(k)); break;
          case 1: fields.insert(fields.begin() + ptrdiff_t(k), fields[other]); break;
          case 2: std::swap(fields[k], fields[other]); break;
          case 3: fields[k][1] = char(random() % 256); break;
          case 4: fields[k][0] = char(random() % 256); break;
          default: fields[k].resize(random() % fields[k].size()); break;
        }
      }
      std::string record;
      for (const std::string& f : fields) record += f;
      if (record.size() >= 128) {
        const size_t size = record.size();
        record = std::string{'\x0A', char(size | 0x80), char(size >> 7)} + record;
      } else {
        record = field(0x0A, record);
      }
      bytes += record;
    }
    check(*log, bytes, kMasks[random() % std::size(kMasks)], &tally);
  }
  assert_true(tally.both > 200 && tally.refused > 200);
}

}  // namespace

int main() {
  google::protobuf::SetLogHandler(nullptr);
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_a_mask_names_reads_as_in_the_whole),
      cmocka_unit_test(a_record_that_differs_from_the_one_before_is_read_as_it_is),
      cmocka_unit_test(what_is_wrong_in_a_mask_is_told),
      cmocka_unit_test(what_is_skipped_takes_no_memory),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
