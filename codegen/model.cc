#include "model.h"

#include <algorithm>

#include "wire_reader.h"

namespace zcrpc::codegen {
namespace {

using Path = std::vector<uint32_t>;
using Comments = std::map<Path, std::string>;

// descriptor.proto's field numbers, as far as they are needed here.
namespace file_field { enum { kName = 1, kPackage = 2, kDependency = 3, kMessage = 4, kEnum = 5, kService = 6, kExtension = 7, kSource = 9, kPublic = 10 }; }
namespace message_field { enum { kName = 1, kField = 2, kNested = 3, kEnum = 4, kExtension = 6, kOneof = 8 }; }

void add_lines(std::string* to, std::string_view text) {
  if (text.empty()) return;
  if (!to->empty()) *to += '\n';
  *to += text;
}

Comments read_comments(std::string_view source_code_info) {
  Comments comments;
  for (WireReader info(source_code_info); info.next();) {
    if (info.number() != 1) continue;
    Path path;
    std::string text;
    for (WireReader location(info.text()); location.next();) {
      if (location.number() == 1 && location.type() == wire::Type::kLength) {
        const auto* p = reinterpret_cast<const uint8_t*>(location.text().data());
        const uint8_t* end = p + location.text().size();
        wire::Fault fault;
        for (uint64_t v; p && p < end;)
          if ((p = wire::read_varint(p, end, &v, &fault))) path.push_back(uint32_t(v));
      } else if (location.number() == 1) {
        path.push_back(uint32_t(location.varint()));
      } else if (location.number() == 3 || location.number() == 4) {  // leading, then trailing
        add_lines(&text, location.text());
      }
    }
    if (!text.empty()) comments[path] = text;
  }
  return comments;
}

std::string_view name_of(std::string_view decl) {
  for (WireReader r(decl); r.next();)
    if (r.number() == 1) return r.text();
  return {};
}

// One file, from its descriptor.
class FileReader {
 public:
  FileReader(const schema::Schema* s, FileDecl* f) : schema_(s), f_(f) {}

  std::string read() {
    for (WireReader r(f_->bytes); r.next();) {
      if (r.number() == file_field::kName) f_->path = r.text();
      if (r.number() == file_field::kPackage) f_->package = r.text();
      if (r.number() == file_field::kDependency) f_->dependencies.push_back(r.text());
      if (r.number() == file_field::kSource) comments_ = read_comments(r.text());
    }
    for (WireReader r(f_->bytes); r.next();)
      if (r.number() == file_field::kPublic) public_dependency(r);
    std::string scope(f_->package);
    Counts n;
    for (WireReader r(f_->bytes); r.next();) {
      uint32_t k = r.number();
      if (k == file_field::kMessage) message(r.text(), scope, {k, n[k]++});
      if (k == file_field::kEnum) enumeration(r.text(), scope, {k, n[k]++});
      if (k == file_field::kService) service(r.text(), scope, {k, n[k]++});
      if (k == file_field::kExtension) extension(r.text(), scope, {k, n[k]++});
    }
    return wrong_;
  }

 private:
  using Counts = std::map<uint32_t, uint32_t>;

  void public_dependency(const WireReader& r) {
    auto add = [&](uint64_t i) {
      if (i < f_->dependencies.size()) f_->public_dependencies.insert(f_->dependencies[i]);
    };
    if (r.type() != wire::Type::kLength) return add(r.varint());
    const auto* p = reinterpret_cast<const uint8_t*>(r.text().data());
    const uint8_t* end = p + r.text().size();
    wire::Fault fault;
    for (uint64_t v; p && p < end;)
      if ((p = wire::read_varint(p, end, &v, &fault))) add(v);
  }

  static std::string join(const std::string& scope, std::string_view name) {
    return scope.empty() ? std::string(name) : scope + "." + std::string(name);
  }
  std::string comment(const Path& path) const {
    auto it = comments_.find(path);
    return it == comments_.end() ? std::string() : it->second;
  }
  static Path below(Path path, uint32_t field, uint32_t i) {
    path.push_back(field);
    path.push_back(i);
    return path;
  }
  void miss(const std::string& name) {
    if (wrong_.empty()) wrong_ = std::string(f_->path) + ": " + name + " is missing in the schema";
  }

  void message(std::string_view decl, const std::string& scope, const Path& path) {
    std::string full = join(scope, name_of(decl));
    const schema::Message* type = schema_->message(full);
    if (!type) return miss(full);
    if (type->map_entry) return;
    MessageDecl m;
    m.type = type;
    m.comment = comment(path);
    m.index = uint32_t(f_->messages.size());
    uint32_t i = 0;
    for (WireReader r(decl); r.next();) {
      if (r.number() != message_field::kField) continue;
      const schema::Field* field = type->by_proto_name(name_of(r.text()));
      if (!field) return miss(full + "." + std::string(name_of(r.text())));
      m.fields.push_back({field, {}, comment(below(path, message_field::kField, i++)), {}});
    }
    for (const schema::Oneof& o : type->oneofs) m.oneofs.push_back({&o, {}});
    f_->messages.push_back(std::move(m));
    Counts n;
    for (WireReader r(decl); r.next();) {
      uint32_t k = r.number();
      if (k == message_field::kNested) message(r.text(), full, below(path, k, n[k]++));
      if (k == message_field::kEnum) enumeration(r.text(), full, below(path, k, n[k]++));
      if (k == message_field::kExtension) extension(r.text(), full, below(path, k, n[k]++));
    }
  }

  void enumeration(std::string_view decl, const std::string& scope, const Path& path) {
    std::string full = join(scope, name_of(decl));
    const schema::Enum* type = schema_->enumeration(full);
    if (!type) return miss(full);
    EnumDecl e;
    e.type = type;
    e.comment = comment(path);
    for (uint32_t i = 0; i < type->values.size(); i++)
      e.values.push_back({std::string(type->values[i].name), type->values[i].number, comment(below(path, 2, i))});
    f_->enums.push_back(std::move(e));
  }

  void extension(std::string_view decl, const std::string& scope, const Path& path) {
    std::string full = join(scope, name_of(decl));
    const schema::Field* field = schema_->extension(full);
    if (!field) return miss(full);
    f_->extensions.push_back({field, {}, comment(path)});
  }

  void service(std::string_view decl, const std::string& scope, const Path& path) {
    std::string full = join(scope, name_of(decl));
    const schema::Service* found = nullptr;
    for (const schema::Service& s : schema_->services)
      if (s.name == full) found = &s;
    if (!found) return miss(full);
    ServiceDecl s;
    s.service = found;
    s.comment = comment(path);
    for (uint32_t i = 0; i < found->methods.size(); i++)
      s.methods.push_back({&found->methods[i], {}, comment(below(path, 2, i))});
    f_->services.push_back(std::move(s));
  }

  const schema::Schema* schema_;
  FileDecl* f_;
  Comments comments_;
  std::string wrong_;
};

// The file itself, and what it imports publicly, all the way.
void add_visible(const Model& model, std::string_view path, std::set<std::string_view>* seen) {
  if (!seen->insert(path).second) return;
  auto it = model.files.find(path);
  if (it == model.files.end()) return;
  for (std::string_view p : it->second.public_dependencies) add_visible(model, p, seen);
}

// Files whose types this one names. An import that only options need is not among them: it has no business in C.
std::set<const FileDecl*> needed_files(const Model& model, const FileDecl& f) {
  std::set<const FileDecl*> needed;
  auto message = [&](const schema::Message* m) {
    if (auto it = model.message_files.find(m); it != model.message_files.end()) needed.insert(it->second);
  };
  auto field = [&](const schema::Field* one) {
    if (one->message) message(one->message);
    if (auto it = model.enum_files.find(one->enumeration); it != model.enum_files.end()) needed.insert(it->second);
  };
  for (const MessageDecl& m : f.messages)
    for (const FieldDecl& d : m.fields) {
      field(d.field);
      if (d.field->is_map()) field(d.field->map_value());
    }
  for (const ExtensionDecl& e : f.extensions) {
    field(e.field);
    message(e.field->parent);
  }
  for (const ServiceDecl& s : f.services)
    for (const MethodDecl& m : s.methods) {
      message(m.method->input);
      message(m.method->output);
    }
  return needed;
}

// Messages that are extendable, and then those that hold one of them, until there is no further.
void find_extensible(Model* model) {
  std::map<const schema::Message*, std::vector<const schema::Message*>> holders;
  std::vector<const schema::Message*> todo;
  for (const schema::Message* m : model->schema->messages) {
    for (const schema::Field& f : m->fields)
      if (f.message) holders[f.message].push_back(m);
    if (m->extendable()) todo.push_back(m);
  }
  while (!todo.empty()) {
    const schema::Message* m = todo.back();
    todo.pop_back();
    if (!model->reach_extensions.insert(m).second) continue;
    for (const schema::Message* h : holders[m]) todo.push_back(h);
  }
}

}  // namespace

std::string strip_proto(std::string_view path) {
  if (path.ends_with(".proto")) path.remove_suffix(6);
  return std::string(path);
}

std::string build_model(const std::vector<std::string_view>& files, Model* model) {
  for (std::string_view bytes : files) {
    FileDecl f;
    f.bytes = bytes;
    if (std::string wrong = FileReader(model->schema, &f).read(); !wrong.empty()) return wrong;
    name_file(&f);
    model->files.emplace(f.path, std::move(f));
  }
  for (auto& [path, f] : model->files) {
    for (const MessageDecl& m : f.messages) {
      model->messages[m.type] = &m;
      model->message_files[m.type] = &f;
    }
    for (const EnumDecl& e : f.enums) {
      model->enums[e.type] = &e;
      model->enum_files[e.type] = &f;
    }
  }
  find_extensible(model);
  for (auto& [path, f] : model->files) {
    std::set<const FileDecl*> needed = needed_files(*model, f);
    for (std::string_view import : f.dependencies) {
      std::set<std::string_view> visible;
      add_visible(*model, import, &visible);
      bool wanted = f.public_dependencies.count(import) != 0;  // others reach its types through this file
      for (const FileDecl* n : needed) wanted |= visible.count(n->path) != 0;
      if (wanted) f.imports.push_back(import);
    }
  }
  return {};
}

}  // namespace zcrpc::codegen
