// Random edits against a plain model: elements and keys that are changed, removed and added again, messages opened inside
// each other and again, merges, and what is read back while messages are open. The seed is fixed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
#include <zcrpc.h>
}

namespace {

using std::string;
enum : uint32_t { kChild = 1, kChildren = 2, kTexts = 3, kTree = 6, kLongs = 8, kText = 16, kNumber = 25 };

struct Model;
using Pointer = std::unique_ptr<Model>;
struct Model {
  std::optional<int64_t> number;
  std::optional<string> text;
  std::vector<string> texts;
  std::vector<int64_t> longs;
  Pointer child;
  std::vector<Pointer> children;
  std::map<int, Pointer> tree;
};

void varint(string* s, uint64_t v) {
  for (; v >= 128; v >>= 7) *s += char(v | 128);
  *s += char(v);
}
void bytes(string* s, uint32_t field, const string& x) {
  varint(s, field << 3 | 2);
  varint(s, x.size());
  *s += x;
}
string encode(const Model& m) {
  string s;
  if (m.child) bytes(&s, kChild, encode(*m.child));
  for (const Pointer& c : m.children) bytes(&s, kChildren, encode(*c));
  for (const string& t : m.texts) bytes(&s, kTexts, t);
  for (const auto& [key, value] : m.tree) {
    string entry("\x08");
    varint(&entry, uint64_t(key));
    bytes(&entry, 2, encode(*value));
    bytes(&s, kTree, entry);
  }
  string run;
  for (int64_t v : m.longs) varint(&run, uint64_t(v));
  if (!run.empty()) bytes(&s, kLongs, run);
  if (m.text) bytes(&s, kText, *m.text);
  if (m.number) {
    varint(&s, kNumber << 3);
    varint(&s, uint64_t(*m.number));
  }
  return s;
}
void merge(Model* to, Model&& from) {
  if (from.number) to->number = from.number;
  if (from.text) to->text = from.text;
  for (string& t : from.texts) to->texts.push_back(std::move(t));
  for (int64_t v : from.longs) to->longs.push_back(v);
  for (Pointer& c : from.children) to->children.push_back(std::move(c));
  for (auto& [key, value] : from.tree) to->tree[key] = std::move(value);
  if (from.child && to->child)
    merge(to->child.get(), std::move(*from.child));
  else if (from.child)
    to->child = std::move(from.child);
}

struct World {
  zcrpc_schema* schema = nullptr;
  const zcrpc_type* type = nullptr;
  zcrpc_encoder *e = nullptr, *other = nullptr;
  zcrpc_arena *views = nullptr, *read = nullptr;
  std::deque<string> kept;
  Model root;
  uint64_t random = 88172645463325252u;

  size_t below(size_t n) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return size_t(random >> 16) % n;
  }
  string word() {
    string s(below(4) ? below(8) : below(400), ' ');
    for (char& c : s) c = char('a' + below(26));
    return s;
  }
  Pointer message(int depth) {
    auto m = std::make_unique<Model>();
    for (size_t n = below(7); n; n--) switch (below(depth ? 7 : 4)) {
      case 0: m->number = int64_t(below(1000)); break;
      case 1: m->text = word(); break;
      case 2: m->texts.push_back(word()); break;
      case 3: m->longs.push_back(int64_t(random)); break;
      case 4: m->child = message(depth - 1); break;
      case 5: m->children.push_back(message(depth - 1)); break;
      default: m->tree[int(below(6))] = message(depth - 1);
    }
    return m;
  }
  // In a counted buffer, or in memory that stays.
  const zcrpc_view* view(const Model& m) {
    kept.push_back(encode(m));
    const string& s = kept.back();
    if (below(2)) return zcrpc_view_decode(type, s.data(), s.size(), nullptr, views, nullptr);
    void* memory;
    zcrpc_buffer* b = zcrpc_buffer_new(s.size(), &memory, nullptr);
    if (!s.empty()) memcpy(memory, s.data(), s.size());
    const zcrpc_view* v = zcrpc_view_decode_buffer(type, b, nullptr, views, nullptr);
    zcrpc_buffer_release(b);
    return v;
  }
  string sorted(const zcrpc_view* v) {
    assert_non_null(v);
    zcrpc_encoder_reset(other, type);
    zcrpc_encoder_put_deterministic(other, v);
    zcrpc_buffer* b = zcrpc_encoder_finish(other, nullptr);
    assert_non_null(b);
    zcrpc_slice s;
    zcrpc_buffer_slice(b, &s);
    string out(static_cast<const char*>(s.data), s.len);
    zcrpc_buffer_release(b);
    return out;
  }
  void same(const zcrpc_view* v) {
    const string want = encode(root);
    const string ours = sorted(v), theirs = sorted(zcrpc_view_decode(type, want.data(), want.size(), nullptr, read, nullptr));
    assert_int_equal(ours.size(), theirs.size());
    assert_memory_equal(ours.data(), theirs.data(), ours.size());
  }
  void inside(Model* m, int depth) {
    change(m, depth - 1, below(6));
    zcrpc_encoder_end(e);
  }
  void change(Model* m, int depth, size_t steps);
};

void World::change(Model* m, int depth, size_t steps) {
  for (; steps; steps--) {
    if (!below(40)) same(zcrpc_encoder_view(e, read, nullptr));
    const int key = int(below(6));
    const auto number = int64_t(below(100000));
    const string s = word();
    switch (below(depth > 0 ? 18 : 11)) {
      case 0: zcrpc_encoder_put_int64(e, kNumber, *(m->number = number)); break;
      case 1:
        m->text = s;
        zcrpc_encoder_put_string(e, kText, s.data(), s.size());
        break;
      case 2:
        m->texts.push_back(s);
        zcrpc_encoder_put_string(e, kTexts, s.data(), s.size());
        break;
      case 3:
        m->longs.push_back(number);
        zcrpc_encoder_put_int64(e, kLongs, number);
        break;
      case 4:
        if (size_t n = m->texts.size(), i = n ? below(n) : 0; n && below(2)) {
          m->texts[i] = s;
          zcrpc_encoder_put_string_at(e, kTexts, i, s.data(), s.size());
        } else if (n) {
          m->texts.erase(m->texts.begin() + ptrdiff_t(i));
          zcrpc_encoder_remove_at(e, kTexts, i);
        }
        break;
      case 5:
        if (size_t n = m->longs.size(), i = n ? below(n) : 0; n && below(2)) {
          m->longs[i] = number;
          zcrpc_encoder_put_int64_at(e, kLongs, i, number);
        } else if (n) {
          m->longs.erase(m->longs.begin() + ptrdiff_t(i));
          zcrpc_encoder_remove_at(e, kLongs, i);
        }
        break;
      case 6:
        if (size_t n = m->children.size(), i = n ? below(n) : 0; n) {
          m->children.erase(m->children.begin() + ptrdiff_t(i));
          zcrpc_encoder_remove_at(e, kChildren, i);
        }
        break;
      case 7:
        m->tree.erase(key);
        zcrpc_encoder_remove_key_int(e, kTree, key);
        break;
      case 8: {
        Pointer x = message(2);
        zcrpc_encoder_merge(e, view(*x));
        merge(m, std::move(*x));
        break;
      }
      case 9: {
        Pointer x = message(2);
        zcrpc_encoder_put_view(e, kChildren, view(*x));
        m->children.push_back(std::move(x));
        break;
      }
      case 10: {
        static constexpr uint32_t kAll[] = {kChild, kChildren, kTexts, kTree, kLongs};
        const uint32_t field = kAll[below(5)];
        zcrpc_encoder_clear(e, field);
        if (field == kChild) m->child = nullptr;
        if (field == kChildren) m->children.clear();
        if (field == kTexts) m->texts.clear();
        if (field == kTree) m->tree.clear();
        if (field == kLongs) m->longs.clear();
        break;
      }
      case 11: case 12:
        if (!m->child) m->child = std::make_unique<Model>();
        zcrpc_encoder_begin(e, kChild);
        inside(m->child.get(), depth);
        break;
      case 13:
        m->children.push_back(std::make_unique<Model>());
        zcrpc_encoder_begin(e, kChildren);
        inside(m->children.back().get(), depth);
        break;
      case 14: case 15:
        if (size_t n = m->children.size(), i = n ? below(n) : 0; n) {
          zcrpc_encoder_begin_at(e, kChildren, i);
          inside(m->children[i].get(), depth);
        }
        break;
      default:
        if (!m->tree.count(key)) m->tree[key] = std::make_unique<Model>();
        zcrpc_encoder_begin_key_int(e, kTree, key);
        inside(m->tree[key].get(), depth);
    }
  }
}

void edits_are_what_a_plain_model_becomes(void** state) {
  auto* w = static_cast<World*>(*state);
  for (int run = 0; run < 600; run++) {
    w->root = std::move(*w->message(3));
    zcrpc_encoder_edit(w->e, w->view(w->root));
    w->change(&w->root, 4, w->below(5) ? w->below(30) : w->below(300));
    zcrpc_error* err = nullptr;
    zcrpc_buffer* b = zcrpc_encoder_finish(w->e, &err);
    if (!b) print_error("%s: %s\n", zcrpc_error_path(err), zcrpc_error_message(err));
    assert_non_null(b);
    w->same(zcrpc_view_decode_buffer(w->type, b, nullptr, w->read, nullptr));
    zcrpc_buffer_release(b);
    zcrpc_encoder_reset(w->e, w->type);
    zcrpc_arena_reset(w->views);
    zcrpc_arena_reset(w->read);
    w->kept.clear();
  }
}

int set_up(void** state) {
  auto* w = new World;
  *state = w;
  string set;
  FILE* f = fopen(HOSTILE_SET, "rb");
  if (!f) return -1;
  for (int c; (c = fgetc(f)) != EOF;) set += char(c);
  fclose(f);
  w->schema = zcrpc_schema_new(set.data(), set.size(), nullptr);
  w->type = w->schema ? zcrpc_schema_type(w->schema, "hostile.H") : nullptr;
  if (!w->type) return -1;
  w->e = zcrpc_encoder_new(w->type, nullptr);
  w->other = zcrpc_encoder_new(w->type, nullptr);
  w->views = zcrpc_arena_new(nullptr);
  w->read = zcrpc_arena_new(nullptr);
  return 0;
}
int tear_down(void** state) {
  auto* w = static_cast<World*>(*state);
  zcrpc_encoder_free(w->e);
  zcrpc_encoder_free(w->other);
  zcrpc_arena_free(w->views);
  zcrpc_arena_free(w->read);
  zcrpc_schema_release(w->schema);
  delete w;
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(edits_are_what_a_plain_model_becomes)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
