// Prints, as a header, the mini-table fields of every message of shapes.proto: constants, as upb's generator writes them
// into its accessors, whose generator no package brings. Usage: upb_fields shapes.binpb
#include "harness.h"
#include "upb_schema.h"

int main(int, char** argv) {
  Schema schema(harness::read_file(argv[1]));
  printf("// Written by upb_fields.\n");
  const upb_FileDef* file = upb_DefPool_FindFileByName(schema.pool, "shapes.proto");
  for (int i = 0; i < upb_FileDef_TopLevelMessageCount(file); i++) {
    const upb_MessageDef* m = upb_FileDef_TopLevelMessage(file, i);
    for (int j = 0; j < upb_MessageDef_FieldCount(m); j++) {
      const upb_FieldDef* f = upb_MessageDef_Field(m, j);
      const upb_MiniTableField* t = upb_FieldDef_MiniTable(f);
      printf("[[maybe_unused]] constexpr upb_MiniTableField F_%s_%s = {%u, %u, %d, %u, %u, %u};\n", upb_MessageDef_Name(m), upb_FieldDef_Name(f),
             t->number_dont_copy_me__upb_internal_use_only, t->offset_dont_copy_me__upb_internal_use_only, t->presence,
             t->submsg_ofs_dont_copy_me__upb_internal_use_only, t->descriptortype_dont_copy_me__upb_internal_use_only,
             t->mode_dont_copy_me__upb_internal_use_only);
    }
  }
  return 0;
}
