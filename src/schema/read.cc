// Reading as a whole: the order of the steps, imports, and the end: a schema, or an error and nothing else.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "schema/builder.h"

namespace zcrpc::schema {

using base::Code;
using base::Result;
using base::Slice;
using base::Status;

namespace {

// Honest descriptors need about 30 bytes of memory a byte; a few kilobytes of hostile ones could ask for any amount.
constexpr size_t kMemoryPerByte = 128, kMemoryFree = size_t(1) << 20;
constexpr uint64_t kWorkPerByte = 512, kWorkFree = uint64_t(1) << 24;

size_t memory_limit(size_t input) { return input > SIZE_MAX / kMemoryPerByte / 2 ? SIZE_MAX / 2 : kMemoryFree + kMemoryPerByte * input; }

// The descriptors that come with the library are not the caller's bytes.
constexpr size_t kWellKnownBytes = 32 << 10;

}  // namespace

size_t json_name_of(std::string_view name, char* out) {
  size_t n = 0;
  bool upper = false;
  for (char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out[n++] = upper && c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c;
    upper = false;
  }
  return n;
}

Builder::Builder(Schema* s, const Options& options, size_t input)
    : schema_(s),
      options_(options),
      limit_(memory_limit(input + kWellKnownBytes)),
      key_(base::process_hash_key()),
      names_(key_, kWorkFree + kWorkPerByte * input),
      file_names_(key_, kWorkFree + kWorkPerByte * input) {}

Status Builder::wrong(const FileDecl& f, std::string_view symbol, const char* fmt, ...) {
  char text[400];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (n < 0) text[0] = '\0';
  if (symbol.empty()) return Status::format(Code::kInvalidArgument, "%.*s: %s", ZCRPC_NAME(f.name), text);
  return Status::format(Code::kInvalidArgument, "%.*s: %.*s: %s", ZCRPC_NAME(f.name), ZCRPC_NAME(symbol), text);
}

Status Builder::no_room() const { return {Code::kResourceExhausted, "the descriptors ask for too much memory or work for their size"}; }

Status Builder::add_file(Slice bytes, const uint8_t* start) {
  auto* f = make_array<FileDecl>(1, &scratch_);
  if (!f) return Status::no_memory();
  ZCRPC_TRY(parse_file(bytes, start, &scratch_, limit_ / 2, f));  // the other half is for what is made of it
  Symbol* there;
  if (!file_names_.add({f->name, f, nullptr, Symbol::kPackage}, &there)) return Status::no_memory();
  if (there) {
    // Sets may be joined end to end; what they share must be the same.
    const Slice& old = there->file->bytes;
    if (old.size == bytes.size && !memcmp(old.data, bytes.data, bytes.size)) return {};
    return wrong(*f, "", "the file is there twice, with different contents");
  }
  return files_.push(f) ? Status() : Status::no_memory();
}

// Well-known files that are imported but missing. They import each other, so the list grows while it is walked.
Status Builder::supply_imports() {
  for (size_t i = 0; i < files_.size(); i++) {
    for (std::string_view name : files_[i]->dependencies) {
      if (file_names_.find(name)) continue;
      Slice bytes = options_.supply_well_known ? well_known_file(name) : Slice();
      if (bytes.empty()) return wrong(*files_[i], "", "the import \"%.*s\" is missing", ZCRPC_NAME(name));
      ZCRPC_TRY(add_file(bytes, bytes.data));
    }
    if (file_names_.exhausted()) return no_room();
  }
  return {};
}

// Imports form no cycle. Depth first, with a stack of its own.
Status Builder::check_imports() {
  struct Frame {
    FileDecl* file;
    size_t next;
  };
  base::Vec<Frame> path;
  enum : uint8_t { kNew, kOpen, kDone };
  for (FileDecl* root : files_) {
    if (root->visit != kNew) continue;
    root->visit = kOpen;
    if (!path.push({root, 0})) return Status::no_memory();
    while (!path.empty()) {
      Frame& top = path.back();
      if (top.next == top.file->dependencies.size()) {
        top.file->visit = kDone;
        path.pop();
        continue;
      }
      Symbol* s = file_names_.find(top.file->dependencies[top.next++]);
      if (!s) return no_room();
      auto* to = const_cast<FileDecl*>(s->file);
      if (to->visit == kOpen) return wrong(*top.file, "", "the import of \"%.*s\" closes a cycle", ZCRPC_NAME(to->name));
      if (to->visit == kDone) continue;
      to->visit = kOpen;
      if (!path.push({to, 0})) return Status::no_memory();
    }
  }
  return {};
}

// The arrays by which a schema shows what it has.
Status Builder::publish() {
  base::Vec<Message*> messages;
  base::Vec<const Enum*> enums;
  base::Vec<const Method*> methods;
  for (const MessageItem& i : messages_)
    if (!messages.push(i.message)) return Status::no_memory();
  for (const EnumItem& i : enums_)
    if (!enums.push(i.made)) return Status::no_memory();
  auto* services = make_array<Service>(services_.size(), &schema_->arena);
  auto** service_list = schema_->arena.array<const Service*>(services_.size() + 1);
  if (!services || !service_list) return Status::no_memory();
  for (size_t i = 0; i < services_.size(); i++) {
    services[i] = *services_[i].decl->made;
    services_[i].decl->made = &services[i];
    service_list[i] = &services[i];
    for (const Method& m : services[i].methods)
      if (!methods.push(&m)) return Status::no_memory();
  }
  schema_->services = {services, services_.size()};
  ZCRPC_TRY(copy_array(messages, &schema_->messages));
  ZCRPC_TRY(copy_array(enums, &schema_->enums));
  ZCRPC_TRY(copy_array(methods, &schema_->methods));

  // Each file's share is one stretch of each list, since files were declared one after the other.
  size_t m = 0, e = 0, s = 0;
  for (FileDecl* f : files_) {
    size_t m0 = m, e0 = e, s0 = s;
    while (m < messages_.size() && messages_[m].file == f) m++;
    while (e < enums_.size() && enums_[e].file == f) e++;
    while (s < services_.size() && services_[s].file == f) s++;
    f->made->messages = {schema_->messages.data() + m0, m - m0};
    f->made->enums = {schema_->enums.data() + e0, e - e0};
    f->made->services = {service_list + s0, s - s0};
  }
  return {};
}

Status Builder::finish() {
  ZCRPC_TRY(supply_imports());
  ZCRPC_TRY(check_imports());
  File* files = make_array<File>(files_.size(), &schema_->arena);
  if (!files) return Status::no_memory();
  schema_->files = {files, files_.size()};
  for (size_t i = 0; i < files_.size(); i++) {
    files_[i]->made = &files[i];
    ZCRPC_TRY(declare_file(*files_[i]));
  }
  ZCRPC_TRY(begin_symbols());
  for (const EnumItem& i : enums_) {
    ZCRPC_TRY(index_enum(i.made));
    ZCRPC_TRY(check_enum(i));
  }
  for (const MessageItem& i : messages_) ZCRPC_TRY(check_ranges(i));
  for (const MessageItem& i : messages_) {
    for (FieldDecl& d : i.decl->fields) {
      const Features& parent = d.has_oneof ? i.decl->oneofs[size_t(d.oneof_index)].resolved : i.decl->resolved;
      ZCRPC_TRY(link_field(*i.file, d, i.message->name, parent, i.message));
    }
    link_oneofs(i);
  }
  for (const MessageItem& i : messages_) ZCRPC_TRY(check_message(i));
  ZCRPC_TRY(link_extensions());
  ZCRPC_TRY(link_services());
  for (const MessageItem& i : messages_) ZCRPC_TRY(index_message(i.message));
  ZCRPC_TRY(publish());
  ZCRPC_TRY(index_symbols());
  ZCRPC_TRY(list_declarations());
  lay_out();
  ZCRPC_TRY(fingerprints());
  ZCRPC_TRY(mark_required());
  classify();
  return in_bounds() ? Status() : no_room();
}

namespace {

Result<Schema*> read_all(std::span<const Slice> files, const uint8_t* start, const Options& options) {
  size_t input = 0;
  for (const Slice& f : files) {
    if (f.size > wire::kMaxMessage) return Status(Code::kInvalidArgument, "a descriptor of more than 2 GiB");
    input += f.size;
  }
  void* p = std::malloc(sizeof(Schema));
  if (!p) return Status::no_memory();
  auto* s = new (p) Schema();
  Status status;
  {
    Builder b(s, options, input);
    for (const Slice& f : files) {
      status = b.add_file(f, start ? start : f.data);
      if (!status.ok()) break;
    }
    if (status.ok()) status = b.finish();
  }
  if (status.ok()) return s;
  s->release();
  return status;
}

}  // namespace

Result<Schema*> read(Slice set, const Options& options) {
  base::Vec<Slice> files;
  if (Status s = split_set(set, &files); !s.ok()) return s;
  return read_all({files.data(), files.size()}, set.data, options);
}

Result<Schema*> read_files(std::span<const Slice> files, const Options& options) { return read_all(files, nullptr, options); }

}  // namespace zcrpc::schema
