// The decoder against libprotobuf, and its dispatchers against one another: whatever the bytes, the same are accepted
// and every field reads the same.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "unit/view/oracle.h"

#include "support/cmocka.h"  // after the C++ headers: it has macros of common names

namespace {

using namespace zcrpc;
using oracle::Decoded;
using oracle::PbMessage;
using oracle::Random;

struct Tally {
  unsigned long messages = 0, accepted = 0, refused = 0, lazy_refused = 0, lazy_same = 0;
};

std::string hex(const std::string& s) {
  std::string out;
  for (size_t i = 0; i < s.size() && i < 600; i++) {
    char b[3];
    snprintf(b, sizeof b, "%02x", uint8_t(s[i]));
    out += b;
  }
  return out;
}

[[noreturn]] void complain(const char* what, const std::string& why, const PbMessage& type, const std::string& bytes) {
  fail_msg("%s: %s: %s\n%s", type.GetDescriptor()->full_name().c_str(), what, why.c_str(), hex(bytes).c_str());
  std::abort();
}

// All dispatchers, with slack and without, do the same; libprotobuf, where strict_unknown allows, sees the same fields.
void check(const PbMessage& prototype, const std::string& bytes, bool well_formed, Tally* tally) {
  const std::string name = prototype.GetDescriptor()->full_name();
  const auto& all = oracle::schemas();
  const schema::Message* type = all[0].schema->message(name);
  Decoded first(type, bytes, true);
  for (size_t i = 0; i < all.size(); i++) {
    for (bool slack : {true, false}) {
      if (i == 0 && slack) continue;
      Decoded other(all[i].schema->message(name), bytes, slack);
      const char* who = all[i].dispatcher->name;
      if (other.status.ok() != first.status.ok() || other.status.code() != first.status.code() || other.status.offset() != first.status.offset() ||
          std::string(other.status.path()) != first.status.path())
        complain(who, std::string("status differs: ") + first.status.message() + " at " + std::to_string(first.status.offset()) + " " + first.status.path() +
                          " / " + other.status.message() + " at " + std::to_string(other.status.offset()) + " " + other.status.path(), prototype, bytes);
      if (first.status.ok() && other.index() != first.index()) {
        const std::string a = first.index(), b = other.index();
        size_t at = 0;
        while (at < a.size() && at < b.size() && a[at] == b[at]) at++;
        complain(who, "its index differs at " + std::to_string(at) + " of " + std::to_string(a.size()) + "/" + std::to_string(b.size()) +
                          (slack ? "" : ", without slack"), prototype, bytes);
      }
    }
  }
  // Lazily, and then opened to the last, it is the same message; what was replaced may hide a fault, but none comes new.
  if (tally->messages % 3 == 0) {  // every third: they are many
    view::Limits limits;
    limits.lazy = true;
    Decoded lazy(type, bytes, tally->messages % 2, limits);
    base::Status status = lazy.status.ok() ? view::open_all(lazy.view, &lazy.arena) : std::move(lazy.status);
    if (!status.ok() && first.status.ok()) complain("lazy", std::string("refuses it: ") + status.message(), prototype, bytes);
    if (!status.ok()) {
      tally->lazy_refused++;
      // With one fault in the bytes it is the same one; with several another may come first.
      if (status.offset() == first.status.offset() && std::string(status.message()) == first.status.message()) {
        if (status.code() != first.status.code() || std::string(status.path()) != first.status.path())
          complain("lazy", std::string("says ") + status.path() + ", not " + first.status.path() + " at " + std::to_string(status.offset()), prototype, bytes);
        tally->lazy_same++;
      }
    }
    if (status.ok() && first.status.ok()) {
      std::unique_ptr<PbMessage> same(prototype.New());
      if (same->ParsePartialFromString(bytes)) {
        std::string why = oracle::difference(lazy.view, type, *same, well_formed);
        if (!why.empty()) complain("lazy reads otherwise", why, prototype, bytes);
      }
    }
  }
  tally->messages++;
  std::unique_ptr<PbMessage> m(prototype.New());
  const bool accepted = m->ParsePartialFromString(bytes);
  // libprotobuf 3.21 lets the overflowing bits of a five-byte tag fall off.
  if (accepted && std::string(first.status.message()).starts_with("tag of more")) return;
  if (accepted != first.status.ok()) complain("libprotobuf disagrees", accepted ? first.status.message() : "it refuses this", prototype, bytes);
  (accepted ? tally->accepted : tally->refused)++;
  if (!accepted) return;
  std::string why = oracle::difference(first.view, type, *m, well_formed);
  if (!why.empty()) complain("libprotobuf reads otherwise", why, prototype, bytes);
}

unsigned long rounds() {
  const char* n = std::getenv("ZCRPC_ROUNDS");
  return n ? std::strtoul(n, nullptr, 10) : 1;
}

uint64_t seed() {
  const char* s = std::getenv("ZCRPC_SEED");
  return s ? std::strtoull(s, nullptr, 10) : 20261121;
}

const PbMessage& some_root(Random& random) { return *oracle::roots()[random() % oracle::roots().size()]; }

std::string some_bytes(const PbMessage& prototype, Random& random) {
  std::unique_ptr<PbMessage> m(prototype.New());
  oracle::fill(m.get(), random, int(random() % 4));
  return oracle::encode(*m);
}

void what_libprotobuf_writes_reads_the_same(void**) {
  Random random(seed());
  Tally tally;
  for (unsigned long i = 0; i < 12000 * rounds(); i++) {
    const PbMessage& type = some_root(random);
    check(type, some_bytes(type, random), true, &tally);
  }
  assert_int_equal(tally.refused, 0);
}

void fields_in_any_order_and_messages_in_pieces_merge_the_same(void**) {
  Random random(seed() + 1);
  Tally tally;
  for (unsigned long i = 0; i < 8000 * rounds(); i++) {
    const PbMessage& type = some_root(random);
    std::string bytes;
    for (uint64_t n = 1 + random() % 3; n; n--) bytes += some_bytes(type, random);
    check(type, oracle::shuffled(bytes, random), true, &tally);
  }
  assert_int_equal(tally.refused, 0);
}

void bytes_of_another_type_are_unknown_fields_or_refused_alike(void**) {
  Random random(seed() + 2);
  Tally tally;
  for (unsigned long i = 0; i < 20000 * rounds(); i++) {
    const PbMessage& type = some_root(random);
    check(type, some_bytes(some_root(random), random), false, &tally);
  }
  assert_true(tally.accepted > 1000 && tally.refused > 10);
}

void mutated_and_truncated_bytes_are_judged_alike(void**) {
  Random random(seed() + 3);
  Tally tally;
  for (unsigned long i = 0; i < 65000 * rounds(); i++) {
    const PbMessage& type = some_root(random);
    std::string bytes = some_bytes(type, random);
    if (bytes.size() > 3000) bytes.resize(random() % 3000);
    check(type, oracle::mutated(bytes, random), false, &tally);
  }
  assert_true(tally.accepted > 1000 && tally.refused > 1000);
  assert_true(tally.lazy_same > tally.lazy_refused / 10 * 9);
}

}  // namespace

int main() {
  google::protobuf::SetLogHandler(nullptr);
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_libprotobuf_writes_reads_the_same),
      cmocka_unit_test(fields_in_any_order_and_messages_in_pieces_merge_the_same),
      cmocka_unit_test(bytes_of_another_type_are_unknown_fields_or_refused_alike),
      cmocka_unit_test(mutated_and_truncated_bytes_are_judged_alike),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
