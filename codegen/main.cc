// protoc-gen-zcrpc: a plugin of protoc and buf. Reads a CodeGeneratorRequest on stdin, writes a CodeGeneratorResponse on
// stdout. Exit status 0 unless the request itself is broken: mistakes of the user are in the response.
#include <cstdio>
#include <cstring>
#include <vector>

#include "model.h"
#include "wire_reader.h"

namespace {

using namespace zcrpc;
using namespace zcrpc::codegen;

struct Request {
  std::vector<std::string_view> to_generate, files;
  std::string_view parameter;
};

bool read_request(std::string_view bytes, Request* r) {
  WireReader in(bytes);
  while (in.next()) {
    if (in.number() == 1) r->to_generate.push_back(in.text());
    if (in.number() == 2) r->parameter = in.text();
    if (in.number() == 15) r->files.push_back(in.text());
  }
  return !in.bad();
}

// "lang=c,services=none". What is wrong with it, or "".
std::string read_parameter(std::string_view text, Options* o) {
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string one(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (one.empty() || one == "lang=c") continue;
    if (one.starts_with("lang=")) return "protoc-gen-zcrpc: " + one + ": this version knows lang=c";
    if (one.starts_with("services=")) {
      std::string which = one.substr(9);
      o->client = which == "both" || which == "client";
      o->server = which == "both" || which == "server";
      if (which != "none" && !o->client && !o->server)
        return "protoc-gen-zcrpc: " + one + ": services is both, client, server or none";
      continue;
    }
    return "protoc-gen-zcrpc: unknown option " + one + " (known: lang, services)";
  }
  return {};
}

class Response {
 public:
  Response() {
    number(2, 1 | 2);   // supported_features: PROTO3_OPTIONAL, SUPPORTS_EDITIONS
    number(3, 1000);    // minimum_edition: 2023
    number(4, 1001);    // maximum_edition: 2024
  }
  void error(std::string_view text) { bytes(&out_, 1, text); }
  void file(const std::string& name, const std::string& content) {
    std::string f;
    bytes(&f, 1, name);
    bytes(&f, 15, content);
    bytes(&out_, 15, f);
  }
  bool send() const { return fwrite(out_.data(), 1, out_.size(), stdout) == out_.size() && fflush(stdout) == 0; }

 private:
  static void varint(std::string* to, uint64_t v) {
    uint8_t b[10];
    to->append(reinterpret_cast<const char*>(b), size_t(wire::put_varint(b, v) - b));
  }
  static void bytes(std::string* to, uint32_t field, std::string_view s) {
    varint(to, wire::tag(field, wire::Type::kLength));
    varint(to, s.size());
    *to += s;
  }
  void number(uint32_t field, uint64_t v) {
    varint(&out_, wire::tag(field, wire::Type::kVarint));
    varint(&out_, v);
  }
  std::string out_;
};

// Everything but the schema's release, which the caller sees to.
std::string generate(const Request& request, Model* model, Response* response) {
  if (std::string wrong = build_model(request.files, model); !wrong.empty()) return wrong;
  std::vector<std::pair<std::string, std::string>> outputs;
  for (std::string_view path : request.to_generate) {
    auto it = model->files.find(path);
    if (it == model->files.end()) return std::string(path) + " is not in the request";
    if (std::string wrong = check_names(*model, it->second); !wrong.empty()) return wrong;
    outputs.emplace_back(strip_proto(path) + ".zcrpc.h", c_header(*model, it->second));
    outputs.emplace_back(strip_proto(path) + ".zcrpc.c", c_source(*model, it->second));
  }
  for (const auto& [name, content] : outputs) response->file(name, content);
  return {};
}

std::string run(const Request& request, Response* response) {
  Model model;
  if (std::string wrong = read_parameter(request.parameter, &model.options); !wrong.empty()) return wrong;
  std::vector<base::Slice> files;
  for (std::string_view f : request.files) files.emplace_back(f);
  auto schema = schema::read_files(files, {});
  if (!schema.ok()) return schema.status().message();
  model.schema = *schema;
  std::string wrong = generate(request, &model, response);
  (*schema)->release();
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    bool version = strcmp(argv[1], "--version") == 0;
    fprintf(version ? stdout : stderr, "%s\n",
            version ? "protoc-gen-zcrpc 0.1.0" : "protoc-gen-zcrpc is run by protoc: --zcrpc_out=lang=c:DIR, or by buf");
    return version ? 0 : 2;
  }
  std::string input;
  char block[65536];
  for (size_t n; (n = fread(block, 1, sizeof block, stdin)) > 0;) input.append(block, n);
  Request request;
  if (ferror(stdin) || !read_request(input, &request)) {
    fprintf(stderr, "protoc-gen-zcrpc: standard input holds no CodeGeneratorRequest\n");
    return 1;
  }
  Response response;
  if (std::string wrong = run(request, &response); !wrong.empty()) {
    response = Response();
    response.error(wrong);
  }
  return response.send() ? 0 : 1;
}
