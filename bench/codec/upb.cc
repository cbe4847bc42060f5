// bench/codec: upb with fast tables. An arena on a block of a mebibyte, made anew for each decode; strings alias the
// input, as ours do.
#include "harness.h"
#include "upb/message/accessors.h"
#include "upb/message/array.h"
#include "upb/message/map.h"
#include "upb/wire/decode.h"
#include "upb/wire/encode.h"
#include "upb_schema.h"

using namespace harness;

namespace {

constexpr char kWho[] = "upb";

uint64_t see(upb_StringView s) { return harness::see(s.data, s.size); }
uint32_t which(const upb_Message* m, const upb_MiniTableField* member) {
  return upb_Message_WhichOneofFieldNumber(m, member);
}
#include "upb_fields.h"
#include "touch_upb.h"

struct Memory {
  std::vector<char> block = std::vector<char>(1 << 20);
  upb_Arena* arena = nullptr;

  upb_Arena* fresh() {
    if (arena) upb_Arena_Free(arena);
    return arena = upb_Arena_Init(block.data(), block.size(), &upb_alloc_global);
  }
  const upb_Message* decode(const upb_MiniTable* table, std::string_view s) {
    upb_Arena* a = fresh();
    upb_Message* m = upb_Message_New(table, a);
    if (upb_Decode(s.data(), s.size(), m, table, nullptr, kUpb_DecodeOption_AliasString, a) != kUpb_DecodeStatus_Ok) die("upb: decode");
    return m;
  }
};

size_t encode(const upb_Message* m, const upb_MiniTable* table, upb_Arena* a) {
  char* out;
  size_t n;
  if (upb_Encode(m, table, 0, a, &out, &n) != kUpb_EncodeStatus_Ok) die("upb: encode");
  return n;
}

template <class Touch>
void decode_rows(const upb_MiniTable* table, const Set& set, Touch touch) {
  Memory d;
  uint64_t sum = 0;
  for (auto s : set.payloads) sum += touch(d.decode(table, s));
  checksum(kWho, set.name, sum);
  race(kWho, set.name + ": decode and touch", set.payloads, 1, [&](size_t i) { return touch(d.decode(table, set.payloads[i])); });
  double bytes = 0, wire = 0;
  for (auto s : set.payloads) {
    upb_Arena* a = upb_Arena_New();
    upb_Message* m = upb_Message_New(table, a);
    upb_Decode(s.data(), s.size(), m, table, nullptr, kUpb_DecodeOption_AliasString, a);
    bytes += double(upb_Arena_SpaceAllocated(a, nullptr)), wire += double(s.size());
    upb_Arena_Free(a);
  }
  report(kWho, set.name + ": arena bytes a wire byte", bytes / wire, "bytes");
}

void reencode(const upb_MiniTable* table, const Set& set) {
  upb_Arena* keep = upb_Arena_New();
  std::vector<const upb_Message*> messages;
  for (auto s : set.payloads) {
    upb_Message* m = upb_Message_New(table, keep);
    upb_Decode(s.data(), s.size(), m, table, nullptr, kUpb_DecodeOption_AliasString, keep);
    messages.push_back(m);
  }
  Memory out;
  race(kWho, set.name + ": re-encode", set.payloads, 1, [&](size_t i) { return encode(messages[i], table, out.fresh()); });
  upb_Arena_Free(keep);
}

upb_StringView view(std::string_view s) { return upb_StringView_FromDataAndSize(s.data(), s.size()); }

void build(const Schema& schema, const Set& set) {
  const std::vector<Plain> records = plain(set.payloads[0]);
  const upb_MiniTable *batch = schema.table("bench.shapes.Batch"), *record = schema.table("bench.shapes.Record"),
                      *source = schema.table("bench.shapes.Source");
  const upb_MiniTableField* labels = upb_MiniTable_FindFieldByNumber(record, 6);
  Memory d;
  race(kWho, set.name + ": build and encode", set.payloads, 1, [&](size_t) {
    upb_Arena* a = d.fresh();
    upb_Message* m = upb_Message_New(batch, a);
    upb_Array* all = upb_Message_GetOrCreateMutableArray(m, &F_Batch_records, a);
    for (const Plain& p : records) {
      upb_Message* r = upb_Message_New(record, a);
      upb_MessageValue value;
      value.msg_val = r;
      upb_Array_Append(all, value, a);
      upb_Message_SetBaseFieldInt64(r, &F_Record_timestamp_ns, int64_t(p.timestamp));
      upb_Message_SetBaseFieldString(r, &F_Record_service, view(p.service));
      upb_Message_SetBaseFieldString(r, &F_Record_instance, view(p.instance));
      upb_Message_SetBaseFieldInt32(r, &F_Record_severity, int32_t(p.severity));
      upb_Message_SetBaseFieldString(r, &F_Record_text, view(p.text));
      upb_Map* map = upb_Message_GetOrCreateMutableMap(r, upb_MiniTable_MapEntrySubMessage(labels), &F_Record_labels, a);
      for (const Label& l : p.labels) {
        upb_MessageValue k, v;
        k.str_val = view(l.key), v.str_val = view(l.value);
        upb_Map_Insert(map, k, v, a);
      }
      upb_Message_SetBaseFieldString(r, &F_Record_trace_id, view(p.trace_id));
      upb_Message_SetBaseFieldString(r, &F_Record_span_id, view(p.span_id));
      upb_Message* s = upb_Message_New(source, a);
      upb_Message_SetBaseFieldMessage(r, &F_Record_source, s);
      upb_Message_SetBaseFieldString(s, &F_Source_file, view(p.file));
      upb_Message_SetBaseFieldInt32(s, &F_Source_line, int32_t(p.line));
      upb_Message_SetBaseFieldString(s, &F_Source_function, view(p.function));
    }
    const size_t n = encode(m, batch, a);
    if (n != set.payloads[0].size()) die("upb: built another length");
    return n;
  });
}

}  // namespace

int main(int argc, char** argv) {
  begin(argc, argv);
  const Schema schema(read_file(g_options.folder + "/shapes.binpb"));
#define ROWS(name, type) decode_rows(schema.table("bench.shapes." #type), load(#name), touch_##type);
  HARNESS_SETS(ROWS)
  const upb_MiniTable* batch = schema.table("bench.shapes.Batch");
  Memory d;
  const Set fixed = load("packedfixed"), varints = load("packedvarint"), one = load("logbatch");
  const upb_MiniTable *packed_fixed = schema.table("bench.shapes.PackedFixed"), *packed_varint = schema.table("bench.shapes.PackedVarint");
  race(kWho, "packed fixed64, 1 MiB: decode", fixed.payloads, 1, [&](size_t i) {
    return upb_Array_Size(upb_Message_GetArray(d.decode(packed_fixed, fixed.payloads[i]), &F_PackedFixed_values));
  });
  auto sum = [&](size_t i) { return touch_PackedVarint(d.decode(packed_varint, varints.payloads[i])); };
  checksum(kWho, "packedvarint", sum(0));
  race(kWho, "packed varint, 1 MiB: decode and touch", varints.payloads, 1, sum);
  race(kWho, "logbatch: two fields of each record", one.payloads, 1, [&](size_t i) {
    const upb_Array* a = upb_Message_GetArray(d.decode(batch, one.payloads[i]), &F_Batch_records);
    auto* x = static_cast<const upb_Message* const*>(upb_Array_DataPtr(a));
    uint64_t all = 0;
    for (size_t k = 0, n = upb_Array_Size(a); k < n; k++)
      all += uint64_t(upb_Message_GetInt64(x[k], &F_Record_timestamp_ns, 0)) + see(upb_Message_GetString(x[k], &F_Record_span_id, upb_StringView{}));
    return all;
  });
  reencode(batch, one);
  reencode(batch, load("logvar"));
  build(schema, one);
  const Schema sparse(read_file(g_options.folder + "/sparse.binpb"));
  for (const char* name : {"sparse200", "sparse30"}) {
    const Set set = load(name);
    const upb_MiniTable* table = sparse.table(!strcmp(name, "sparse200") ? "bench.sparse.Table200" : "bench.sparse.Table30");
    d.decode(table, set.payloads[0]);
    report(kWho, std::string(name) + ": arena bytes a wire byte", double(upb_Arena_SpaceAllocated(d.arena, nullptr)) / double(set.payloads[0].size()), "bytes");
  }
  return 0;
}
