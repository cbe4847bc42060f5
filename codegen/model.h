// What is to be generated: the declarations of each file in their order, with comments and names in C. Types, layouts
// and fingerprints come from our own schema reader, so that generated code and library cannot disagree.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "schema/schema.h"

namespace zcrpc::codegen {

struct FieldDecl {
  const schema::Field* field = nullptr;
  std::string name;     // as it goes into C: the field's, perhaps with underscores behind it
  std::string comment;
  std::string helper;   // of a Timestamp, a Duration or a wrapper: the name that its shortcuts are made of
};

struct OneofDecl {
  const schema::Oneof* oneof = nullptr;
  std::string name;
};

struct MessageDecl {
  const schema::Message* type = nullptr;
  std::string name;     // in C
  std::string comment;
  uint32_t index = 0;   // in zcrpc_file.message_names
  std::vector<FieldDecl> fields;  // as declared
  std::vector<OneofDecl> oneofs;
};

struct EnumValueDecl {
  std::string name;     // in C, with the enum's name before it
  int32_t number = 0;
  std::string comment;
};

struct EnumDecl {
  const schema::Enum* type = nullptr;
  std::string name;
  std::string comment;
  std::vector<EnumValueDecl> values;
};

struct ExtensionDecl {
  const schema::Field* field = nullptr;
  std::string name;
  std::string comment;
};

struct MethodDecl {
  const schema::Method* method = nullptr;
  std::string name;     // snake case
  std::string comment;
};

struct ServiceDecl {
  const schema::Service* service = nullptr;
  std::string name;
  std::string comment;
  std::vector<MethodDecl> methods;
};

struct FileDecl {
  std::string_view path;           // "echo/v1/echo.proto"
  std::string_view package;
  std::string_view bytes;          // FileDescriptorProto as it came
  std::string ident;               // "echo_v1_echo": what its own objects are named by
  std::vector<std::string_view> dependencies;
  std::set<std::string_view> public_dependencies;
  std::vector<std::string_view> imports;  // dependencies that the code needs
  std::vector<MessageDecl> messages;      // without map entries; outer ones first
  std::vector<EnumDecl> enums;
  std::vector<ExtensionDecl> extensions;
  std::vector<ServiceDecl> services;
  std::set<std::string> identifiers;      // all that its header declares
};

struct Options {
  bool client = true, server = true;
};

// Everything that protoc handed over.
struct Model {
  const schema::Schema* schema = nullptr;
  Options options;
  std::map<std::string_view, FileDecl> files;                       // by path
  std::map<const schema::Message*, const MessageDecl*> messages;
  std::map<const schema::Enum*, const EnumDecl*> enums;
  std::map<const schema::Message*, const FileDecl*> message_files;
  std::map<const schema::Enum*, const FileDecl*> enum_files;
  std::set<const schema::Message*> reach_extensions;  // extendable, or can hold a message that is
};

// Reads the declarations of all files, and gives them their names. Returns what is wrong, or "".
std::string build_model(const std::vector<std::string_view>& files, Model* model);
// names.cc: names for all that a file declares. Depends on nothing but that file.
void name_file(FileDecl* f);
// Whether what a file declares goes together with what it imports, seen from C. Returns what is wrong, or "".
std::string check_names(const Model& model, const FileDecl& f);

// "echo/v1/echo.proto" -> "echo/v1/echo"
std::string strip_proto(std::string_view path);

// The output for one file.
std::string c_header(const Model& model, const FileDecl& f);
std::string c_source(const Model& model, const FileDecl& f);
// Parts of a header with a file of their own.
std::string c_extension(const Model& model, const ExtensionDecl& x);
std::string c_shortcuts(const Model& model, const MessageDecl& m, const FieldDecl& d);

}  // namespace zcrpc::codegen
