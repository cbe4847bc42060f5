// From declarations to a schema, in steps: files, names (declare.cc), types and features (link.cc), rules (check.cc),
// default values (defaults.cc), layouts and fingerprints. A step runs over all files before the next one starts.
#pragma once

#include <algorithm>
#include <cstdarg>
#include <new>

#include "schema/decl.h"
#include "schema/declaration.h"
#include "schema/symbols.h"

namespace zcrpc::schema {

class Builder {
 public:
  // input: how many bytes of descriptors there are, which bounds memory and work.
  Builder(Schema* s, const Options& options, size_t input);

  base::Status add_file(base::Slice bytes, const uint8_t* start);
  base::Status finish();

 private:
  struct MessageItem {
    Message* message;
    MessageDecl* decl;
    FileDecl* file;
    Message* outer;  // it is declared in; nullptr: in a file
  };
  struct EnumItem {
    Enum* made;
    EnumDecl* decl;
    FileDecl* file;
  };
  struct ExtensionItem {
    FieldDecl* decl;
    FileDecl* file;
    std::string_view scope;
    const Features* features;  // of the scope
  };
  struct ServiceItem {
    ServiceDecl* decl;
    FileDecl* file;
  };

  // read.cc
  base::Status supply_imports();
  base::Status check_imports();
  base::Status publish();

  // declaration.cc
  struct ListOf {
    Builder* builder_;
    FileDecl* file_;
    base::Vec<Declaration>* all_;

    base::Status file();
    base::Status message(MessageDecl& d, uint32_t parent, size_t place);
    base::Status fields(Declaration::Kind kind, std::span<FieldDecl> ds, uint32_t parent);
    base::Status enumeration(EnumDecl& d, uint32_t parent, size_t place, std::string_view scope);
    base::Status service(ServiceDecl& d, uint32_t parent, size_t place);
    base::Status open(Declaration::Kind kind, std::string_view name, base::Slice bytes, const void* what, uint32_t parent, size_t place);
    base::Status close(uint32_t at) { return (*all_)[at].end = uint32_t(all_->size()), base::Status(); }
    static std::string_view full(std::string_view scope, std::string_view name);
  };
  base::Status list_declarations();

  // declare.cc
  base::Status declare_file(FileDecl& f);
  base::Status declare_edition(FileDecl& f);
  base::Status declare_package(FileDecl& f);
  base::Status declare_message(FileDecl& f, MessageDecl& d, Message* outer, std::string_view scope, const Features& over);
  base::Status declare_fields(FileDecl& f, MessageDecl& d);
  base::Status declare_oneofs(FileDecl& f, MessageDecl& d);
  base::Status declare_enum(FileDecl& f, EnumDecl& d, std::string_view scope, const Features& over);
  base::Status declare_extensions(FileDecl& f, std::span<FieldDecl> ds, std::string_view scope, const Features* features);
  base::Status declare_service(FileDecl& f, ServiceDecl& d);
  base::Status declare_field(FileDecl& f, FieldDecl& d, std::string_view scope, Field* made);
  base::Status make_json_key(Field* made);
  base::Status name_symbol(const FileDecl& f, std::string_view scope, std::string_view name, Symbol::Kind kind, void* what,
                           base::Arena* arena, std::string_view* full);

  // link.cc
  base::Status link_field(FileDecl& f, FieldDecl& d, std::string_view scope, const Features& parent, Message* owner);
  base::Status link_type(FileDecl& f, FieldDecl& d, std::string_view scope, int32_t* type);
  base::Status link_extension(const ExtensionItem& x);
  base::Status link_extensions();
  base::Status link_services();
  base::Status link_method_type(const FileDecl& f, std::string_view method, std::string_view service, std::string_view name,
                                const Message** out);
  void link_oneofs(const MessageItem& m);

  // check.cc
  base::Status check_field(const FileDecl& f, const FieldDecl& d);
  base::Status check_enum(const EnumItem& e);
  base::Status check_message(const MessageItem& m);
  base::Status check_ranges(const MessageItem& m);
  base::Status check_reserved_names(const MessageItem& m);
  base::Status check_json_names(const MessageItem& m);
  base::Status check_map_entry(const MessageItem& m);
  base::Status check_no_features(const FileDecl& f, std::string_view symbol, const Features& own);

  // defaults.cc
  base::Status set_default(const FileDecl& f, const FieldDecl& d);

  // lookup.cc: the tables of a finished schema
  base::Status index_message(Message* m);
  base::Status index_enum(Enum* e);
  base::Status begin_symbols();
  base::Status index_symbols();

  // layout.cc, fingerprint.cc, required.cc, well_known.cc
  void lay_out();
  base::Status mark_required();
  base::Status fingerprints();
  void classify();

  // "file: symbol: text"
  static base::Status wrong(const FileDecl& f, std::string_view symbol, const char* fmt, ...) __attribute__((format(printf, 3, 4)));
  base::Status no_room() const;
  // Whether memory and work stay in proportion to the input.
  bool in_bounds() const { return schema_->arena.reserved() <= limit_ && scratch_.reserved() <= limit_ && !names_.exhausted(); }
  template <class T>
  T* make_array(size_t n, base::Arena* a);
  template <class T>
  base::Status copy_array(const base::Vec<T>& from, std::span<T const>* to);

  Schema* schema_;
  Options options_;
  size_t limit_;
  base::Arena scratch_;
  base::HashKey key_;
  SymbolTable names_, file_names_;
  base::Vec<FileDecl*> files_;
  base::Vec<MessageItem> messages_;
  base::Vec<EnumItem> enums_;
  base::Vec<ExtensionItem> extensions_;
  base::Vec<ServiceItem> services_;
};

// The arrays that a finished schema shows as constant are still ours to fill.
inline std::span<Field> fields_of(Message* m) { return {const_cast<Field*>(m->fields.data()), m->fields.size()}; }
inline std::span<Oneof> oneofs_of(Message* m) { return {const_cast<Oneof*>(m->oneofs.data()), m->oneofs.size()}; }

// %.*s with a bound, so that no name can push the rest out of a message.
#define ZCRPC_NAME(s) int((s).size() < 160 ? (s).size() : 160), (s).data()

template <class T>
T* Builder::make_array(size_t n, base::Arena* a) {
  T* p = a->array<T>(n ? n : 1);
  if (!p) return nullptr;
  for (size_t i = 0; i < n; i++) new (p + i) T();
  return p;
}

template <class T>
base::Status Builder::copy_array(const base::Vec<T>& from, std::span<const T>* to) {
  auto* p = schema_->arena.array<T>(from.size() + 1);
  if (!p) return base::Status::no_memory();
  std::copy(from.begin(), from.end(), p);
  *to = {p, from.size()};
  return {};
}

// lowerCamelCase as protoc derives JSON names. out has room for name.size() bytes; returns how many were written.
size_t json_name_of(std::string_view name, char* out);

}  // namespace zcrpc::schema
