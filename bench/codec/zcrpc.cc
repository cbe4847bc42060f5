// bench/codec: our side. "zcrpc" decodes with the tables of a schema that was read at run time; "zcrpc generated" goes
// through what protoc-gen-zcrpc wrote. Both read through generated accessors, since the layout is the same.
#include <zcrpc.h>

#include "harness.h"
#include "shapes.zcrpc.h"
#include "sparse.zcrpc.h"

using namespace harness;

// Every allocation of the process is counted.
static uint64_t g_mallocs;
extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_realloc(void*, size_t);
extern "C" void* malloc(size_t n) {
  g_mallocs++;
  return __libc_malloc(n);
}
extern "C" void* realloc(void* p, size_t n) {
  g_mallocs++;
  return __libc_realloc(p, n);
}

namespace {

uint64_t see(zcrpc_slice s) { return harness::see(s.data, s.len); }
#include "touch_zcrpc.h"

constexpr char kTables[] = "zcrpc", kGenerated[] = "zcrpc generated";

void check(const void* made, const char* what, zcrpc_error* err) {
  if (!made) die(std::string(what) + ": " + (err ? zcrpc_error_message(err) : "failed"));
}

const zcrpc_schema* schema(const char* file) {
  const std::string set = read_file(g_options.folder + "/" + file);
  zcrpc_error* err = nullptr;
  const zcrpc_schema* s = zcrpc_schema_new(set.data(), set.size(), &err);
  check(s, file, err);
  return s;
}

// The log batch as the generated file has it.
const zcrpc_type* own_batch() {
  zcrpc_error* err = nullptr;
  const zcrpc_type* t = bench_shapes_Batch_type_in(nullptr, &err);
  check(t, "type of the generated file", err);
  return t;
}

struct Decoder {
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);

  const zcrpc_view* decode(const zcrpc_type* type, std::string_view s) {
    zcrpc_arena_reset(arena);
    zcrpc_error* err = nullptr;
    const zcrpc_view* v = zcrpc_view_decode(type, s.data(), s.size(), nullptr, arena, &err);
    if (!v) check(v, "decode", err);
    return v;
  }
};

const zcrpc_index* index_of(const zcrpc_view* v) {
  return reinterpret_cast<const zcrpc_index*>(reinterpret_cast<const char*>(v) - reinterpret_cast<const zcrpc_head*>(v)->self);
}

struct Counts {
  uint64_t reused = 0, fresh = 0;
  double bytes = 0, wire = 0;
};
// decode(bytes, arena): the view, or NULL.
template <class F>
Counts count(const Set& set, F decode) {
  zcrpc_arena* a = zcrpc_arena_new(nullptr);
  auto again = [&](std::string_view s) {
    zcrpc_arena_reset(a);
    const zcrpc_view* v = decode(s, a);
    check(v, "decode", nullptr);
    return v;
  };
  Counts c;
  for (auto s : set.payloads) c.bytes += index_of(again(s))->size, c.wire += double(s.size());
  uint64_t before = g_mallocs;
  for (auto s : set.payloads) again(s);
  c.reused = g_mallocs - before;
  for (auto s : set.payloads) {
    zcrpc_arena* fresh = zcrpc_arena_new(nullptr);
    before = g_mallocs;
    check(decode(s, fresh), "decode", nullptr);
    c.fresh = std::max(c.fresh, g_mallocs - before);
    zcrpc_arena_free(fresh);
  }
  zcrpc_arena_free(a);
  return c;
}
template <class F>
void counts(const char* who, const Set& set, F decode) {
  const Counts c = count(set, decode);
  report(who, set.name + ": mallocs, arena reused", double(c.reused), "mallocs");
  report(who, set.name + ": mallocs, arena fresh", double(c.fresh), "mallocs");
  report(who, set.name + ": arena bytes a wire byte", c.bytes / c.wire, "bytes");
}
auto by_tables(const zcrpc_type* type) {
  return [type](std::string_view s, zcrpc_arena* a) { return zcrpc_view_decode(type, s.data(), s.size(), nullptr, a, nullptr); };
}
template <class Generated>
auto by_generated(Generated generated) {
  return [generated](std::string_view s, zcrpc_arena* a) { return reinterpret_cast<const zcrpc_view*>(generated(s.data(), s.size(), a, nullptr)); };
}

size_t encoded(zcrpc_encoder* e) {
  zcrpc_slice parts[4];
  size_t count = 0, size = 0;
  zcrpc_error* err = nullptr;
  if (zcrpc_encoder_gather(e, parts, 4, &count, &err)) die(std::string("encode: ") + zcrpc_error_message(err));
  for (size_t i = 0; i < count; i++) size += parts[i].len;
  return size;
}

// What both ways of decoding have in common; Generated is the function of the generated file.
template <class M, class Generated>
void decode_rows(const zcrpc_type* type, const Set& set, Generated generated) {
  Decoder d;
  uint64_t sum = 0, other = 0;
  for (auto s : set.payloads) {
    sum += touch(reinterpret_cast<const M*>(d.decode(type, s)));
    zcrpc_arena_reset(d.arena);
    other += touch(generated(s.data(), s.size(), d.arena, nullptr));
  }
  checksum(kTables, set.name, sum);
  checksum(kGenerated, set.name, other);
  race(kTables, set.name + ": decode and touch", set.payloads, 1,
       [&](size_t i) { return touch(reinterpret_cast<const M*>(d.decode(type, set.payloads[i]))); });
  race(kGenerated, set.name + ": decode and touch", set.payloads, 1, [&](size_t i) {
    zcrpc_arena_reset(d.arena);
    return touch(generated(set.payloads[i].data(), set.payloads[i].size(), d.arena, nullptr));
  });
  race(kTables, set.name + ": decode", set.payloads, 1, [&](size_t i) { return uint64_t(d.decode(type, set.payloads[i]) != nullptr); });
  race(kGenerated, set.name + ": decode", set.payloads, 1, [&](size_t i) {
    zcrpc_arena_reset(d.arena);
    return uint64_t(generated(set.payloads[i].data(), set.payloads[i].size(), d.arena, nullptr) != nullptr);
  });
  counts(kTables, set, by_tables(type));
  counts(kGenerated, set, by_generated(generated));
  zcrpc_arena_free(d.arena);
}

void reencode(const zcrpc_type* type, const Set& set) {
  std::vector<zcrpc_arena*> arenas;
  std::vector<const bench_shapes_Batch*> views;
  zcrpc_encoder* e = zcrpc_encoder_new(type, nullptr);
  for (auto s : set.payloads) {
    arenas.push_back(zcrpc_arena_new(nullptr));
    views.push_back(bench_shapes_Batch_decode(s.data(), s.size(), arenas.back(), nullptr));
  }
  auto tables = [&](size_t i) {
    zcrpc_encoder_reset(e, type);
    zcrpc_encoder_put_fields(e, bench_shapes_Batch_view(views[i]));
    return encoded(e);
  };
  auto generated = [&](size_t i) {
    zcrpc_encoder_reset(e, type);
    bench_shapes_Batch_copy(bench_shapes_Batch_write(e), views[i]);
    return encoded(e);
  };
  for (size_t i = 0; i < views.size(); i++)
    if (tables(i) != set.payloads[i].size() || generated(i) != set.payloads[i].size()) die("re-encoded to another length");
  race(kTables, set.name + ": re-encode", set.payloads, 1, tables);
  race(kGenerated, set.name + ": re-encode", set.payloads, 1, generated);
  zcrpc_encoder_free(e);
  for (zcrpc_arena* a : arenas) zcrpc_arena_free(a);
}

// Builds the log batch with the generated writers, out of pointers and lengths.
void build(const zcrpc_type* type, const Set& set) {
  const std::vector<Plain> records = plain(set.payloads[0]);
  zcrpc_encoder* e = zcrpc_encoder_new(type, nullptr);
  auto once = [&](size_t) {
    zcrpc_encoder_reset(e, type);
    bench_shapes_Batch_writer* w = bench_shapes_Batch_write(e);
    for (const Plain& p : records) {
      bench_shapes_Record_writer* r = bench_shapes_Batch_begin_records(w);
      bench_shapes_Record_put_timestamp_ns(r, int64_t(p.timestamp));
      bench_shapes_Record_put_service(r, p.service.data(), p.service.size());
      bench_shapes_Record_put_instance(r, p.instance.data(), p.instance.size());
      bench_shapes_Record_put_severity(r, int32_t(p.severity));
      bench_shapes_Record_put_text(r, p.text.data(), p.text.size());
      for (const Label& l : p.labels) bench_shapes_Record_put_labels(r, l.key.data(), l.key.size(), l.value.data(), l.value.size());
      bench_shapes_Record_put_trace_id(r, p.trace_id.data(), p.trace_id.size());
      bench_shapes_Record_put_span_id(r, p.span_id.data(), p.span_id.size());
      bench_shapes_Source_writer* s = bench_shapes_Record_begin_source(r);
      bench_shapes_Source_put_file(s, p.file.data(), p.file.size());
      bench_shapes_Source_put_line(s, int32_t(p.line));
      bench_shapes_Source_put_function(s, p.function.data(), p.function.size());
      bench_shapes_Source_end(s);
      bench_shapes_Record_end(r);
    }
    return encoded(e);
  };
  if (once(0) != set.payloads[0].size()) die("built another length");
  race(kGenerated, set.name + ": build and encode", set.payloads, 1, once);
  zcrpc_encoder_free(e);
}

void packed(const zcrpc_schema* s) {
  Decoder d;
  const Set fixed = load("packedfixed"), varints = load("packedvarint");
  const zcrpc_type* type = zcrpc_schema_type(s, "bench.shapes.PackedFixed");
  // The numbers lie in the input: count and address are all that a decode has to find.
  race(kTables, "packed fixed64, 1 MiB: decode", fixed.payloads, 1000, [&](size_t i) {
    size_t n = 0, width = 0;
    return reinterpret_cast<uintptr_t>(zcrpc_view_array(d.decode(type, fixed.payloads[i]), 1, &n, &width)) + n;
  });
  race(kGenerated, "packed fixed64, 1 MiB: decode", fixed.payloads, 1000, [&](size_t i) {
    zcrpc_arena_reset(d.arena);
    const bench_shapes_PackedFixed* m = bench_shapes_PackedFixed_decode(fixed.payloads[i].data(), fixed.payloads[i].size(), d.arena, nullptr);
    return bench_shapes_PackedFixed_values_count(m) + bench_shapes_PackedFixed_values(m, 0);
  });
  type = zcrpc_schema_type(s, "bench.shapes.PackedVarint");
  auto sum = [](const zcrpc_view* v) {
    size_t n = 0, width = 0;
    auto* x = static_cast<const char*>(zcrpc_view_array(v, 1, &n, &width));
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++) {
      uint64_t one;
      memcpy(&one, x + 8 * i, 8);
      all += one;
    }
    return all;
  };
  checksum(kTables, "packedvarint", sum(d.decode(type, varints.payloads[0])));
  race(kTables, "packed varint, 1 MiB: decode and touch", varints.payloads, 1, [&](size_t i) { return sum(d.decode(type, varints.payloads[i])); });
  race(kGenerated, "packed varint, 1 MiB: decode and touch", varints.payloads, 1, [&](size_t i) {
    zcrpc_arena_reset(d.arena);
    return sum(bench_shapes_PackedVarint_view(
        bench_shapes_PackedVarint_decode(varints.payloads[i].data(), varints.payloads[i].size(), d.arena, nullptr)));
  });
  zcrpc_arena_free(d.arena);
}

// Two fields of each record, through a compiled mask; "generated" asks the generated file for it, whose decoders leave it to
// the tables.
void projection(const zcrpc_type* type, const Set& set) {
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);
  zcrpc_error* err = nullptr;
  auto sum = [](const zcrpc_view* v) {
    if (!v) die("projection");
    auto* m = bench_shapes_Batch_of(v);
    uint64_t sum = 0;
    for (size_t k = 0, n = bench_shapes_Batch_records_count(m); k < n; k++) {
      const bench_shapes_Record* r = bench_shapes_Batch_records(m, k);
      sum += uint64_t(bench_shapes_Record_timestamp_ns(r)) + see(bench_shapes_Record_span_id(r));
    }
    return sum;
  };
  auto line = [&](const char* who, const zcrpc_type* of, auto decode) {
    zcrpc_projection* p = zcrpc_projection_new(of, "records.timestamp_ns,records.span_id", &err);
    check(p, "projection", err);
    zcrpc_options* o = zcrpc_options_new(ZCRPC_FOR_DECODE, nullptr);
    if (zcrpc_options_set_projection(o, p, &err)) die("projection as an option");
    auto two = [&](const zcrpc_options* options, size_t i) {
      zcrpc_arena_reset(arena);
      return sum(decode(set.payloads[i], options));
    };
    if (two(o, 0) != two(nullptr, 0)) die("a projection reads otherwise");
    race(who, set.name + ": two fields of each record", set.payloads, 10, [&](size_t i) { return two(o, i); });
    zcrpc_options_free(o);
    zcrpc_projection_free(p);
  };
  line(kTables, type, [&](std::string_view s, const zcrpc_options* o) { return zcrpc_view_decode(type, s.data(), s.size(), o, arena, nullptr); });
  uint32_t place = 0;
  while (strcmp(bench_shapes_shapes_file.message_names[place], zcrpc_type_name(type))) place++;
  line(kGenerated, own_batch(), [&](std::string_view s, const zcrpc_options* o) {
    return zcrpc_file_decode(&bench_shapes_shapes_file, place, s.data(), s.size(), o, arena, nullptr);
  });
  zcrpc_arena_free(arena);
}

// Two mebibytes of each: what is refused takes no more than its budget, what is read counts.
using Decode = const zcrpc_view*(const char*, size_t, zcrpc_arena*, zcrpc_error**);
#define GENERATED(name) \
  [](const char* p, size_t n, zcrpc_arena* a, zcrpc_error** err) { return reinterpret_cast<const zcrpc_view*>(name##_decode(p, n, a, err)); }
void hostile(const zcrpc_schema* shapes) {
  const zcrpc_schema* rows = schema("sparse.binpb");
  const struct {
    const zcrpc_schema* schema;
    const char *type, *unit;
    size_t len;
    Decode* generated;
  } all[] = {{shapes, "bench.shapes.Batch", "\x0A\x00", 2, GENERATED(bench_shapes_Batch)},
             {shapes, "bench.shapes.Record", "\x32\x00", 2, GENERATED(bench_shapes_Record)},
             {shapes, "bench.shapes.Event", "\x22\x00", 2, GENERATED(bench_shapes_Event)},
             {shapes, "bench.shapes.Event", "\x2A\x00", 2, GENERATED(bench_shapes_Event)},
             {shapes, "bench.shapes.Api", "\x42\x00", 2, GENERATED(bench_shapes_Api)},
             {shapes, "bench.shapes.Record", "\x4A\x00", 2, GENERATED(bench_shapes_Record)},
             {shapes, "bench.shapes.Record", "\xB8\x01\x00", 3, GENERATED(bench_shapes_Record)},
             {shapes, "bench.shapes.Batch", "\x0A\x03\xB8\x01\x00", 5, GENERATED(bench_shapes_Batch)},
             {rows, "bench.sparse.Table200", "\x0A\x00", 2, GENERATED(bench_sparse_Table200)},
             {rows, "bench.sparse.Table30", "\x0A\x00", 2, GENERATED(bench_sparse_Table30)}};
  double worst[2] = {0, 0};
  for (const auto& h : all) {
    std::string bytes;
    while (bytes.size() + h.len <= size_t(2) << 20) bytes.append(h.unit, h.len);
    for (int k = 0; k < 2; k++) {
      zcrpc_arena* a = zcrpc_arena_new(nullptr);
      zcrpc_error* err = nullptr;
      const zcrpc_view* v = k ? h.generated(bytes.data(), bytes.size(), a, &err)
                              : zcrpc_view_decode(zcrpc_schema_type(h.schema, h.type), bytes.data(), bytes.size(), nullptr, a, &err);
      if (v) worst[k] = std::max(worst[k], double(index_of(v)->size) / double(bytes.size()));
      else if (zcrpc_error_code(err) != ZCRPC_RESOURCE_EXHAUSTED) die("a hostile input ends in another error");
      zcrpc_error_free(err);
      zcrpc_arena_free(a);
    }
  }
  report(kTables, "hostile input, the worst: arena bytes a wire byte", worst[0], "bytes");
  report(kGenerated, "hostile input, the worst: arena bytes a wire byte", worst[1], "bytes");
}

void sparse() {
  const zcrpc_schema* s = schema("sparse.binpb");
  auto rows = [](const char* who, const Set& set, auto decode) {
    report(who, set.name + ": arena bytes a wire byte", count(set, decode).bytes / double(set.payloads[0].size()), "bytes");
    zcrpc_arena* a = zcrpc_arena_new(nullptr);
    race(who, set.name + ": decode", set.payloads, 1, [&](size_t i) {
      zcrpc_arena_reset(a);
      return uint64_t(decode(set.payloads[i], a) != nullptr);
    });
    zcrpc_arena_free(a);
  };
  const Set wide = load("sparse200"), narrow = load("sparse30");
  rows(kTables, wide, by_tables(zcrpc_schema_type(s, "bench.sparse.Table200")));
  rows(kGenerated, wide, by_generated(bench_sparse_Table200_decode));
  rows(kTables, narrow, by_tables(zcrpc_schema_type(s, "bench.sparse.Table30")));
  rows(kGenerated, narrow, by_generated(bench_sparse_Table30_decode));
}

// decode(bytes, arena) makes the view that is printed; type: the same message, which is parsed.
template <class F>
void json(const char* who, const zcrpc_type* type, const Set& set, F decode) {
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
  auto print = [&](size_t i, std::string* keep) {
    zcrpc_error* err = nullptr;
    zcrpc_arena_reset(arena);
    zcrpc_buffer* b = zcrpc_view_print(decode(set.payloads[i], arena), ZCRPC_JSON, nullptr, &err);
    check(b, "print", err);
    zcrpc_slice s;
    zcrpc_buffer_slice(b, &s);
    if (keep) keep->assign(s.data, s.len);
    zcrpc_buffer_release(b);
    return s.len;
  };
  for (size_t i = 0; i < set.payloads.size(); i++) print(i, &texts.emplace_back());
  for (const std::string& t : texts) views.push_back(t);
  auto parse = [&](size_t i) {
    zcrpc_error* err = nullptr;
    zcrpc_buffer* b = zcrpc_type_convert(type, ZCRPC_JSON, views[i].data(), views[i].size(), ZCRPC_PROTO, nullptr, &err);
    check(b, "parse", err);
    zcrpc_slice s;
    zcrpc_buffer_slice(b, &s);
    zcrpc_buffer_release(b);
    return s.len;
  };
  for (size_t i = 0; i < views.size(); i++)
    if (parse(i) != set.payloads[i].size()) die("JSON there and back has another length");
  size_t bytes = 0;
  for (auto v : views) bytes += v.size();
  report(who, set.name + ": JSON bytes", double(bytes) / double(views.size()), "bytes");
  race(who, set.name + ": wire to JSON", set.payloads, 1, [&](size_t i) { return print(i, nullptr); });
  race(who, set.name + ": JSON to wire", views, 1, parse);
  zcrpc_arena_free(arena);
}

}  // namespace

int main(int argc, char** argv) {
  begin(argc, argv);
  const zcrpc_schema* s = schema("shapes.binpb");
  const zcrpc_type* batch = zcrpc_schema_type(s, "bench.shapes.Batch");
#define ROWS(name, type) \
  if (concerns(#name)) decode_rows<bench_shapes_##type>(zcrpc_schema_type(s, "bench.shapes." #type), load(#name), bench_shapes_##type##_decode);
  HARNESS_SETS(ROWS)
  if (concerns("packed fixed64, 1 MiB") || concerns("packed varint, 1 MiB")) packed(s);
  for (const char* name : {"logbatch", "logvar"}) {
    if (!concerns(name)) continue;
    const Set set = load(name);
    reencode(batch, set);
    json(kTables, batch, set, by_tables(batch));
    json(kGenerated, own_batch(), set, by_generated(bench_shapes_Batch_decode));
  }
  if (concerns("logbatch")) {
    build(batch, load("logbatch"));
    projection(batch, load("logbatch"));
  }
  if (concerns("sparse200") || concerns("sparse30")) sparse();
  if (g_options.who.empty()) hostile(s);
  return 0;
}
