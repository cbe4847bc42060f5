// A upb schema out of a FileDescriptorSet's bytes. Its DefPool builds the fast tables.
#pragma once

#include <string>

#include "harness.h"
#include "upb/mem/arena.h"
#include "upb/reflection/def.h"

struct Schema {
  upb_Arena* arena = upb_Arena_New();
  upb_DefPool* pool = upb_DefPool_New();

  explicit Schema(const std::string& set) {
    size_t n;
    auto* files = google_protobuf_FileDescriptorSet_file(google_protobuf_FileDescriptorSet_parse(set.data(), set.size(), arena), &n);
    for (size_t i = 0; i < n; i++) {
      upb_Status status;
      upb_Status_Clear(&status);
      if (!upb_DefPool_AddFile(pool, files[i], &status)) harness::die(std::string("upb: ") + upb_Status_ErrorMessage(&status));
    }
  }
  const upb_MiniTable* table(const char* name) const {
    const upb_MessageDef* m = upb_DefPool_FindMessageByName(pool, name);
    if (!m) harness::die(std::string("upb: no ") + name);
    return upb_MessageDef_MiniTable(m);
  }
};
