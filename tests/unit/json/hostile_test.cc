// Texts made to cost more than they are long: time and output stay in proportion to the text.
#include <ctime>
#include <functional>

#include <cstdarg>
#include <cstddef>
#include <csetjmp>

#include "unit/json/support.h"

extern "C" {
#include <cmocka.h>
}

using namespace json_test;

namespace {

schema::Schema* g_schema;

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

// `head`, then `piece` again and again up to n bytes, then `tail`.
std::string fill(size_t n, const std::string& head, const std::string& piece, const std::string& tail) {
  std::string s = head;
  s.reserve(n + piece.size() + tail.size());
  while (s.size() < n) s += piece;
  return s + tail;
}

struct Shape {
  const char* name;
  const char* type;
  std::function<std::string(size_t)> make;
};

void time_and_output_are_in_proportion_to_the_text(void**) {
  constexpr const char* kAll = "json.test.All";
  const Shape shapes[] = {
      {"empty messages", kAll, [](size_t n) { return fill(n, "{\"rSub\":[{}", ",{}", "]}"); }},
      {"empty wide messages", "json.test.Wide", [](size_t n) { return fill(n, "{\"g4\":[{}", ",{}", "]}"); }},
      {"wide messages with one field", "json.test.Wide", [](size_t n) { return fill(n, "{\"g4\":[{}", ",{\"l2\":\"\"}", "]}"); }},
      {"small integers", kAll, [](size_t n) { return fill(n, "{\"rI32\":[0", ",0", "]}"); }},
      {"fixed numbers", kAll, [](size_t n) { return fill(n, "{\"rF64\":[0", ",0", "]}"); }},
      {"doubles of a Value", kAll, [](size_t n) { return fill(n, "{\"value\":[0", ",0", "]}"); }},
      {"empty strings", kAll, [](size_t n) { return fill(n, "{\"rText\":[\"\"", ",\"\"", "]}"); }},
      {"one key again and again", kAll, [](size_t n) { return fill(n, "{\"mText\":{\"\":\"\"", ",\"\":\"\"", "}}"); }},
      {"different keys", kAll,
       [](size_t n) {
         std::string s = "{\"mI32\":{\"-1\":0";
         for (int i = 0; s.size() < n; i++) s += ",\"" + std::to_string(i) + "\":0";
         return s + "}}";
       }},
      {"escapes", kAll, [](size_t n) { return fill(n, "{\"text\":\"", "\\u0041", "\"}"); }},
      {"quotes", kAll, [](size_t n) { return fill(n, "{\"text\":\"", "\\\"", "\"}"); }},
      {"escapes in names", kAll, [](size_t n) { return fill(n, "{\"mText\":{\"", "\\n", "\":\"\"}}"); }},
      {"base64", kAll, [](size_t n) { return fill(n, "{\"data\":\"", "AAAA", "\"}"); }},
      {"a long integer", kAll, [](size_t n) { return fill(n, "{\"i64\":1", "0", "e-" + std::to_string(n - 8) + "}"); }},
      {"a long fraction", kAll, [](size_t n) { return fill(n, "{\"dbl\":0.", "0", "1}"); }},
      {"many digits", kAll, [](size_t n) { return fill(n, "{\"dbl\":0.", "7", "1}"); }},
      {"paths of a mask", kAll, [](size_t n) { return fill(n, "{\"mask\":\"a", ",a", "\"}"); }},
      {"white space", kAll, [](size_t n) { return fill(n, "{", " \n", "}"); }},
      {"an error in the last line", kAll, [](size_t n) { return fill(n, "{", "\n", "x}"); }},
      {"unknown arrays", kAll, [](size_t n) { return fill(n, "{\"x\":[[]", ",[]", "]}"); }},
      {"unknown fields", kAll, [](size_t n) { return fill(n, "{\"x\":0", ",\"x\":0", "}"); }},
      {"Anys with the type last", kAll,
       [](size_t n) { return fill(n, "{\"rAny\":[{}", ",{\"i32\":1,\"@type\":\"x/json.test.All\"}", "]}"); }},
      {"an Any with the type behind a long text", kAll,
       [](size_t n) { return fill(n, "{\"any\":{\"text\":\"", "aaaaaaaa", "\",\"@type\":\"x/json.test.All\"}}"); }},
      {"Anys in Anys with the type last", kAll,
       [](size_t n) {
         std::string open, close;
         for (int i = 0; i < 90; i++) {
           open += "{\"any\":";
           close += ",\"@type\":\"x/json.test.All\"}";
         }
         return "{\"any\":" + open + "{\"@type\":\"x/json.test.All\",\"text\":\"" + std::string(n, 'a') + "\"}" + close + "}";
       }},
  };
  json::ParseOptions o;
  o.ignore_unknown = true;
  for (const Shape& s : shapes) {
    const schema::Message* type = g_schema->message(s.type);
    double took[2];
    size_t sizes[2] = {1 << 17, 1 << 20};
    for (int i = 0; i < 2; i++) {
      std::string text = s.make(sizes[i]);
      double best = 1e9;
      for (int round = 0; round < 3; round++) {
        double start = cpu_seconds();
        Parsed p = parse(type, text, o);
        best = std::min(best, cpu_seconds() - start);
        if (p.wire.size() > (1 << 20) + 32 * text.size()) fail_msg("%s: %zu bytes made of %zu", s.name, p.wire.size(), text.size());
        if (p.status.ok() && round == 0) {
          Printed back = print(type, p.wire);
          if (!back.status.ok() && back.status.code() != base::Code::kResourceExhausted) fail_msg("%s: %s", s.name, back.status.message());
        }
      }
      took[i] = best;
    }
    // Eight times the text: eight times the time. The bound is far off, for machines that are busy.
    if (took[1] > 0.05 && took[1] > 30 * took[0]) fail_msg("%s: %g s, of an eighth %g s", s.name, took[1], took[0]);
    if (took[1] > 5) fail_msg("%s: %g s", s.name, took[1]);
  }
}

int setup(void**) {
  g_schema = load();
  return 0;
}
int teardown(void**) {
  g_schema->release();
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(time_and_output_are_in_proportion_to_the_text)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
