// Every name of a schema under construction: one flat space, as protobuf has it, in one hash table.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "base/vec.h"
#include "schema/decl.h"

namespace zcrpc::schema {

// Full names and packages are at most this long; together with the work budget it keeps hostile input linear.
inline constexpr size_t kMaxName = 1023;

struct Symbol {
  enum Kind : uint8_t { kPackage, kMessage, kEnum, kEnumValue, kField, kOneof, kService, kMethod };
  std::string_view name;  // full
  const FileDecl* file;
  void* what;  // Message*, Enum* or nullptr
  Kind kind;

  bool is_type() const { return kind == kMessage || kind == kEnum; }
  bool is_scope() const { return kind == kMessage || kind == kEnum || kind == kPackage || kind == kService; }
};

class SymbolTable {
 public:
  SymbolTable(base::HashKey key, uint64_t work) : key_(key), work_(work) {}

  // The symbol of that name; nullptr: none, or the work budget is used up.
  Symbol* find(std::string_view name);
  // Adds s, whose name must stay. False without memory. *there: one of that name was there before, and stays.
  [[nodiscard]] bool add(const Symbol& s, Symbol** there);
  // C++'s rules: the innermost scope that knows the first part of the name decides. A leading dot: the name is full.
  Symbol* resolve(std::string_view scope, std::string_view name);
  // Whether more bytes were hashed than input of this size can honestly ask for.
  bool exhausted() const { return work_ == 0; }

 private:
  uint64_t hash(std::string_view s);
  [[nodiscard]] bool grow();

  base::HashKey key_;
  uint64_t work_;
  base::Vec<Symbol> symbols_;
  base::Vec<uint64_t> slots_;  // hash's high 32 bits and index + 1; 0: free. The size is a power of two.
};

}  // namespace zcrpc::schema
