// grpc.reflection, v1 and v1alpha, which differ in name alone: answered from the descriptors of the schemas whose methods
// the server serves. Stateless: each answer brings what its file imports.
#include <algorithm>

#include "schema/declaration.h"
#include "server/server.h"
#include "server/services.h"

namespace zcrpc::server {

using base::Code;
using base::Slice;
using base::Status;
using base::Vec;
using schema::Schema;

namespace {

constexpr size_t kRequestLimit = 16 << 10;  // names and a number are all there is in a request

class Answer {
 public:
  Answer(const Server* s, encode::Encoder* e) : server_(s), e_(e) {}
  // The answer to one request, into the encoder.
  void write(const schema::Message* type, schema::View request);

 private:
  bool hidden(std::string_view symbol) const;
  bool collect();  // false: no memory
  void error(Code code, const char* text);
  void services();
  void file(const schema::File* f, const Schema* s);
  void file_by_name(std::string_view name);
  void file_of_symbol(std::string_view symbol);
  void file_of_extension(std::string_view type, int32_t number);
  void extensions(std::string_view type);

  const Server* server_;
  encode::Encoder* e_;
  Vec<const Schema*> schemas_;
};

std::string_view service_of(const schema::Method& m) {
  if (!m.service.empty()) return m.service;
  return m.path.substr(1, m.path.find('/', 1) - 1);
}

// A service that is not to be told of, or something in it: a method, by either way of writing it.
bool Answer::hidden(std::string_view symbol) const {
  std::string_view list = server_->config().hidden;
  for (std::string_view item; next_item(&list, &item);)
    if (symbol.starts_with(item) && (symbol.size() == item.size() || symbol[item.size()] == '.' || symbol[item.size()] == '/')) return true;
  return false;
}

bool Answer::collect() {
  bool good = true;
  server_->routes().each([&](const Route& r) {
    const Schema* s = r.method->schema;
    if (s && std::find(schemas_.begin(), schemas_.end(), s) == schemas_.end()) good = schemas_.push(s) && good;
  });
  return good;
}

void Answer::error(Code code, const char* text) {
  encode::begin(e_, 7);
  encode::put_int64(e_, 1, int32_t(code));
  encode::put_string(e_, 2, Slice(std::string_view(text)));
  encode::end(e_);
}

void Answer::services() {
  Vec<std::string_view> names;
  bool good = true;
  server_->routes().each([&](const Route& r) {
    std::string_view name = service_of(*r.method);
    if (!hidden(name)) good = names.push(name) && good;
  });
  if (!good) return error(Code::kResourceExhausted, "out of memory");
  std::sort(names.begin(), names.end());
  auto* end = std::unique(names.begin(), names.end());
  encode::begin(e_, 6);
  for (auto* n = names.begin(); n != end; n++) {
    encode::begin(e_, 1);
    encode::put_string(e_, 1, Slice(*n));
    encode::end(e_);
  }
  encode::end(e_);
}

// f(name) for each import of a file. The schema has read these bytes: they are sound.
template <class F>
void each_import(Slice file, F&& f) {
  constexpr uint32_t kDependency = 3;
  wire::Fault fault;
  uint32_t tag, n;
  const uint8_t* at;
  for (const uint8_t *p = file.begin(), *end = file.end(); p && p != end;) {
    p = wire::read_tag(p, end, &tag, &fault);
    if (p && tag == wire::tag(kDependency, wire::Type::kLength)) {
      p = wire::read_length(p, end, &n, &fault);
      if (!p) return;
      f(Slice(p, n).text());
      p += n;
    } else if (p) {
      p = wire::skip_value(p, end, tag, wire::kDeepest, &fault, &at);
    }
  }
}

// It first, then all that it needs, each once.
void Answer::file(const schema::File* f, const Schema* s) {
  Vec<const schema::File*> files;
  Vec<uint8_t> seen;
  uint8_t* marks = seen.grow(s->files.size());
  bool good = marks != nullptr;
  auto add = [&](const schema::File* one) {
    uint8_t& mark = marks[one - s->files.data()];
    if (!mark) good = files.push(one) && good;
    mark = 1;
  };
  if (good) {
    memset(marks, 0, s->files.size());
    add(f);
  }
  for (size_t i = 0; i < files.size(); i++)
    each_import(files[i]->bytes, [&](std::string_view name) {
      if (const schema::File* one = s->file(name)) add(one);
    });
  if (!good) return error(Code::kResourceExhausted, "out of memory");
  encode::begin(e_, 4);
  for (const schema::File* one : files) encode::put_string(e_, 1, one->bytes);
  encode::end(e_);
}

void Answer::file_by_name(std::string_view name) {
  for (const Schema* s : schemas_)
    if (const schema::File* f = s->file(name)) return file(f, s);
  error(Code::kNotFound, "unknown file");
}

void Answer::file_of_symbol(std::string_view symbol) {
  if (symbol.starts_with('.')) symbol.remove_prefix(1);
  if (!hidden(symbol))
    for (const Schema* s : schemas_)
      if (const schema::Declaration* d = schema::find_declaration(s, symbol); d && d->kind != schema::Declaration::kFile) return file(d->file(), s);
  error(Code::kNotFound, "unknown symbol");
}

void Answer::file_of_extension(std::string_view type, int32_t number) {
  for (const Schema* s : schemas_) {
    const schema::Message* m = s->message(type);
    const schema::Field* f = m && number > 0 ? m->extension(uint32_t(number)) : nullptr;
    if (f) return file(s->declarations[f->declaration].file(), s);
  }
  error(Code::kNotFound, "unknown extension");
}

void Answer::extensions(std::string_view type) {
  Vec<uint32_t> numbers;
  bool known = false, good = true;
  for (const Schema* s : schemas_)
    if (const schema::Message* m = s->message(type)) {
      known = true;
      for (const schema::Field* f : m->extensions) good = numbers.push(f->number) && good;
    }
  if (!known) return error(Code::kNotFound, "unknown type");
  if (!good) return error(Code::kResourceExhausted, "out of memory");
  std::sort(numbers.begin(), numbers.end());
  auto* end = std::unique(numbers.begin(), numbers.end());
  encode::begin(e_, 5);
  encode::put_string(e_, 1, Slice(type));
  for (auto* n = numbers.begin(); n != end; n++) encode::put_int64(e_, 2, *n);
  encode::end(e_);
}

void Answer::write(const schema::Message* type, schema::View request) {
  auto text = [&](uint32_t field) { return schema::string(request, type->by_number(field)).text(); };
  if (!text(1).empty()) encode::put_string(e_, 1, Slice(text(1)));
  encode::put_view(e_, 2, request);
  if (!collect()) return error(Code::kResourceExhausted, "out of memory");
  const schema::Field* asked = request ? schema::which(request, &type->oneofs[0]) : nullptr;
  switch (asked ? asked->number : 0) {
    case 3: return file_by_name(text(3));
    case 4: return file_of_symbol(text(4));
    case 5: {
      schema::View extension = schema::sub_message(request, asked);
      return file_of_extension(schema::string(extension, asked->message->by_number(1)).text(),
                               int32_t(schema::number(extension, asked->message->by_number(2))));
    }
    case 6: return extensions(text(6));
    case 7: return services();
    default: return error(Code::kInvalidArgument, "nothing was asked for");
  }
}

// One request at a time: the next is let in when there is room for its answer.
void on_event(zcrpc_call* call, const zcrpc_event* event, const zcrpc_view* message, void* user) {
  rpc::Call* c = call_of(call);
  if (c->has(rpc::kDone)) return;  // the server may have gone
  switch (event->kind) {
    case ZCRPC_EVENT_REQUEST:
    case ZCRPC_EVENT_WRITABLE: return c->verbs->read(c, 1);
    case ZCRPC_EVENT_MESSAGE: {
      Answer(static_cast<const Server*>(user), c->encoder).write(c->method->input, view_of(message));
      Status s = c->verbs->send(c);
      if (!s.ok()) return c->verbs->finish(c, std::move(s));
      if (c->verbs->room(c) > 0) c->verbs->read(c, 1);
      return;
    }
    case ZCRPC_EVENT_HALF_CLOSE: return c->verbs->finish(c, {});
    default: return;
  }
}

}  // namespace

Status add_reflection(Server* s, const schema::Schema* types) {
  Route r;
  r.event_fn = on_event;
  r.user = s;
  r.message_limit = kRequestLimit;
  for (const char* path : {"grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    r.method = types->method(path);
    ZCRPC_TRY(s->set(r, {}, "", false));
  }
  return {};
}

}  // namespace zcrpc::server
