// bench/codec: our side. "zcrpc" decodes with the tables of a schema that was read at run time; "zcrpc generated" goes
// through what protoc-gen-zcrpc wrote. Both read through generated accessors, since the layout is the same.
#include <zcrpc.h>

#include "harness.h"
#include "shapes.zcrpc.h"

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
  if (!made) die(std::string(what) + ": " + zcrpc_error_message(err));
}

const zcrpc_schema* schema(const char* file) {
  const std::string set = read_file(g_options.folder + "/" + file);
  zcrpc_error* err = nullptr;
  const zcrpc_schema* s = zcrpc_schema_new(set.data(), set.size(), &err);
  check(s, file, err);
  return s;
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
Counts count(const zcrpc_type* type, const Set& set) {
  Decoder d;
  Counts c;
  for (auto s : set.payloads) c.bytes += index_of(d.decode(type, s))->size, c.wire += double(s.size());
  uint64_t before = g_mallocs;
  for (auto s : set.payloads) d.decode(type, s);
  c.reused = g_mallocs - before;
  for (auto s : set.payloads) {
    zcrpc_arena* fresh = zcrpc_arena_new(nullptr);
    before = g_mallocs;
    if (!zcrpc_view_decode(type, s.data(), s.size(), nullptr, fresh, nullptr)) die("decode");
    c.fresh = std::max(c.fresh, g_mallocs - before);
    zcrpc_arena_free(fresh);
  }
  return c;
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
  const Counts c = count(type, set);
  report(kTables, set.name + ": mallocs, arena reused", double(c.reused), "mallocs");
  report(kTables, set.name + ": mallocs, arena fresh", double(c.fresh), "mallocs");
  report(kTables, set.name + ": arena bytes a wire byte", c.bytes / c.wire, "bytes");
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

// Two fields of each record, through a compiled mask.
void projection(const zcrpc_type* type, const Set& set) {
  zcrpc_error* err = nullptr;
  zcrpc_projection* p = zcrpc_projection_new(type, "records.timestamp_ns,records.span_id", &err);
  check(p, "projection", err);
  zcrpc_options* o = zcrpc_options_new(ZCRPC_FOR_DECODE, nullptr);
  if (zcrpc_options_set_projection(o, p, &err)) die("projection as an option");
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);
  auto two = [&](const zcrpc_options* options, size_t i) {
    zcrpc_arena_reset(arena);
    const zcrpc_view* v = zcrpc_view_decode(type, set.payloads[i].data(), set.payloads[i].size(), options, arena, nullptr);
    if (!v) die("projection");
    auto* m = bench_shapes_Batch_of(v);
    uint64_t sum = 0;
    for (size_t k = 0, n = bench_shapes_Batch_records_count(m); k < n; k++) {
      const bench_shapes_Record* r = bench_shapes_Batch_records(m, k);
      sum += uint64_t(bench_shapes_Record_timestamp_ns(r)) + see(bench_shapes_Record_span_id(r));
    }
    return sum;
  };
  if (two(o, 0) != two(nullptr, 0)) die("a projection reads otherwise");
  race(kTables, set.name + ": two fields of each record", set.payloads, 10, [&](size_t i) { return two(o, i); });
  zcrpc_options_free(o);
  zcrpc_projection_free(p);
  zcrpc_arena_free(arena);
}

// Two mebibytes of each: what is refused takes no more than its budget, what is read counts.
void hostile(const zcrpc_schema* shapes) {
  const zcrpc_schema* rows = schema("sparse.binpb");
  const struct {
    const zcrpc_schema* schema;
    const char *type, *unit;
    size_t len;
  } all[] = {{shapes, "bench.shapes.Batch", "\x0A\x00", 2},   {shapes, "bench.shapes.Record", "\x32\x00", 2},
             {shapes, "bench.shapes.Event", "\x22\x00", 2},   {shapes, "bench.shapes.Event", "\x2A\x00", 2},
             {shapes, "bench.shapes.Api", "\x42\x00", 2},     {shapes, "bench.shapes.Record", "\x4A\x00", 2},
             {shapes, "bench.shapes.Record", "\xB8\x01\x00", 3}, {shapes, "bench.shapes.Batch", "\x0A\x03\xB8\x01\x00", 5},
             {rows, "bench.sparse.Table200", "\x0A\x00", 2},  {rows, "bench.sparse.Table30", "\x0A\x00", 2}};
  double worst = 0;
  for (const auto& h : all) {
    std::string bytes;
    while (bytes.size() + h.len <= size_t(2) << 20) bytes.append(h.unit, h.len);
    zcrpc_arena* a = zcrpc_arena_new(nullptr);
    zcrpc_error* err = nullptr;
    const zcrpc_view* v = zcrpc_view_decode(zcrpc_schema_type(h.schema, h.type), bytes.data(), bytes.size(), nullptr, a, &err);
    if (v) worst = std::max(worst, double(index_of(v)->size) / double(bytes.size()));
    else if (zcrpc_error_code(err) != ZCRPC_RESOURCE_EXHAUSTED) die("a hostile input ends in another error");
    zcrpc_error_free(err);
    zcrpc_arena_free(a);
  }
  report(kTables, "hostile input, the worst: arena bytes a wire byte", worst, "bytes");
}

void sparse() {
  const zcrpc_schema* s = schema("sparse.binpb");
  for (const char* name : {"sparse200", "sparse30"}) {
    const Set set = load(name);
    const bool wide = !strcmp(name, "sparse200");
    const zcrpc_type* type = zcrpc_schema_type(s, wide ? "bench.sparse.Table200" : "bench.sparse.Table30");
    report(kTables, std::string(name) + ": arena bytes a wire byte", count(type, set).bytes / double(set.payloads[0].size()), "bytes");
    Decoder d;
    race(kTables, std::string(name) + ": decode", set.payloads, 1, [&](size_t i) { return uint64_t(d.decode(type, set.payloads[i]) != nullptr); });
    zcrpc_arena_free(d.arena);
  }
}

void json(const zcrpc_type* type, const Set& set) {
  Decoder d;
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
  auto print = [&](size_t i, std::string* keep) {
    zcrpc_error* err = nullptr;
    zcrpc_buffer* b = zcrpc_view_print(d.decode(type, set.payloads[i]), ZCRPC_JSON, nullptr, &err);
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
  report(kTables, set.name + ": JSON bytes", double(bytes) / double(views.size()), "bytes");
  race(kTables, set.name + ": wire to JSON", set.payloads, 1, [&](size_t i) { return print(i, nullptr); });
  race(kTables, set.name + ": JSON to wire", views, 1, parse);
  zcrpc_arena_free(d.arena);
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
    json(batch, set);
  }
  if (concerns("logbatch")) {
    build(batch, load("logbatch"));
    projection(batch, load("logbatch"));
  }
  if (!g_options.who.empty()) return 0;
  sparse();
  hostile(s);
  return 0;
}
