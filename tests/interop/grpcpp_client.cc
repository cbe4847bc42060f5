// Calls by gRPC C++: small and large, many at once, metadata, errors with details, deadlines, compression, streams.
//   interop-grpcpp-client BENCH-ADDRESS TELEMETRY-ADDRESS INTEROP-ADDRESS
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "interop.grpc.pb.h"
#include "telemetry.grpc.pb.h"

namespace {

int checks = 0;

void check(bool truth, const char* what, const grpc::Status& s = grpc::Status::OK) {
  checks++;
  if (truth) return;
  printf("FAILED: %s (status %d: %s)\n", what, int(s.error_code()), s.error_message().c_str());
  exit(1);
}

void echo(bench::v1::Echo::Stub* stub, size_t size, bool compressed) {
  grpc::ClientContext context;
  if (compressed) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  bench::v1::EchoRequest request;
  bench::v1::EchoReply reply;
  request.set_text("t");
  request.set_number(-1);
  request.set_payload(std::string(size, 'p'));
  grpc::Status s = stub->Echo(&context, request, &reply);
  check(s.ok(), "echo", s);
  check(reply.text() == "t" && reply.number() == -1 && reply.payload() == request.payload(), "the echo's fields");
}

void many_at_once(bench::v1::Echo::Stub* stub) {
  struct Call {
    grpc::ClientContext context;
    bench::v1::EchoRequest request;
    bench::v1::EchoReply reply;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<bench::v1::EchoReply>> reader;
  };
  grpc::CompletionQueue queue;
  std::vector<Call> calls(200);
  for (size_t i = 0; i < calls.size(); i++) {
    calls[i].request.set_number(int64_t(i) + 1);
    calls[i].reader = stub->AsyncEcho(&calls[i].context, calls[i].request, &queue);
    calls[i].reader->Finish(&calls[i].reply, &calls[i].status, &calls[i]);
  }
  for (size_t i = 0; i < calls.size(); i++) {
    void* tag;
    bool ok;
    check(queue.Next(&tag, &ok) && ok, "an answer to each call");
    auto* c = static_cast<Call*>(tag);
    check(c->status.ok() && c->reply.number() == c->request.number(), "the right answer to each call", c->status);
  }
}

void too_large(bench::v1::Echo::Stub* stub) {
  grpc::ClientContext context;
  bench::v1::EchoRequest request;
  bench::v1::EchoReply reply;
  request.set_payload(std::string((4 << 20) + 1, 'p'));
  grpc::Status s = stub->Echo(&context, request, &reply);
  check(s.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED, "a message over the limit", s);
}

void late(bench::v1::Echo::Stub* stub) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  bench::v1::EchoReply reply;
  grpc::Status s = stub->Echo(&context, {}, &reply);
  check(s.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED, "a deadline that has passed", s);
}

void bad_request(telemetry::v1::Telemetry::Stub* stub) {
  grpc::ClientContext context;
  context.AddMetadata("x-mine", "one");
  context.AddMetadata("x-mine-bin", std::string("\0\xff", 2));
  telemetry::v1::IngestRequest request;
  request.add_records()->set_source("a");
  request.add_records();
  telemetry::v1::Summary reply;
  grpc::Status s = stub->Ingest(&context, request, &reply);
  check(s.error_code() == grpc::StatusCode::INVALID_ARGUMENT, "a bad request", s);
  check(s.error_message() == "records[1].source: must not be empty", "its text", s);
  google::rpc::Status details;
  google::rpc::BadRequest bad;
  check(details.ParseFromString(s.error_details()), "grpc-status-details-bin is a google.rpc.Status");
  check(details.code() == 3 && details.message() == s.error_message(), "with the same code and text");
  check(details.details_size() == 1 && details.details(0).UnpackTo(&bad), "and a BadRequest");
  check(bad.field_violations(0).field() == "records[1].source", "that names the field");
}

// ---- streams

using interop::v1::Interop;
using interop::v1::Reply;
using interop::v1::Request;

Request request(const char* text, int count = 0, int code = 0) {
  Request r;
  r.set_text(text);
  r.set_count(count);
  r.set_code(code);
  return r;
}

void download(Interop::Stub* stub, int count, int code) {
  grpc::ClientContext context;
  context.AddMetadata("x-interop-bin", std::string("\0\xff", 2));
  Reply reply;
  int got = 0;
  auto reader = stub->Download(&context, request("down", count, code));
  while (reader->Read(&reply)) check(reply.number() == ++got && reply.text() == "down", "messages of a stream in their order");
  grpc::Status s = reader->Finish();
  check(got == count && int(s.error_code()) == code && (code == 0 || s.error_message() == "down"), "the end of a server stream", s);
  auto trailer = context.GetServerTrailingMetadata().find("x-interop-bin");
  check(trailer != context.GetServerTrailingMetadata().end() && trailer->second == grpc::string_ref("\0\xff", 2), "its trailers");
}

void upload(Interop::Stub* stub, int after) {
  grpc::ClientContext context;
  Reply reply;
  auto writer = stub->Upload(&context, &reply);
  Request r = request("up");
  r.set_after(after);
  for (int i = 0; i < 50 && writer->Write(r); i++) {}  // Write fails once the server has answered
  writer->WritesDone();
  grpc::Status s = writer->Finish();
  check(s.ok() && reply.number() == (after ? after : 50), "a client stream", s);
}

void chat(Interop::Stub* stub, int after, int code) {
  grpc::ClientContext context;
  Reply reply;
  auto both = stub->Chat(&context);
  Request r = request("chat", 0, code);
  r.set_after(after);
  for (int i = 1; i <= (after ? after : 50); i++)
    check(both->Write(r) && both->Read(&reply) && reply.number() == i, "a turn of a bidirectional stream");
  if (!after) both->WritesDone();
  check(!both->Read(&reply), "nothing behind the last message");
  grpc::Status s = both->Finish();
  check(int(s.error_code()) == code, "the end of a bidirectional stream", s);
}

// The handler sees that the client has gone within 100 ms; late: that the time is over.
void gone(Interop::Stub* stub, const char* text, bool late) {
  using std::chrono::steady_clock;
  grpc::ClientContext context;
  if (late) context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  Request r = request(text);
  r.set_hold(true);
  Reply reply;
  auto reader = stub->Download(&context, r);
  check(reader->Read(&reply), "the first message");
  if (!late) context.TryCancel();
  check(!reader->Read(&reply), "no second one");
  grpc::Status s = reader->Finish();
  check(s.error_code() == (late ? grpc::StatusCode::DEADLINE_EXCEEDED : grpc::StatusCode::CANCELLED), "the code of a call that was given up", s);
  interop::v1::SeenRequest asked;
  interop::v1::SeenReply seen;
  asked.set_text(text);
  for (auto from = steady_clock::now(); !seen.done();) {
    grpc::ClientContext other;
    check(stub->Seen(&other, asked, &seen).ok(), "seen");
    check(seen.done() || steady_clock::now() - from < std::chrono::milliseconds(100), "the handler sees the end within 100 ms");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  auto bench = bench::v1::Echo::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  auto telemetry = telemetry::v1::Telemetry::NewStub(grpc::CreateChannel(argv[2], grpc::InsecureChannelCredentials()));
  for (size_t size : {0, 1, 100, 5000, 16384, 100000, 1000000, 4000000}) echo(bench.get(), size, false);
  for (size_t size : {0, 100, 100000}) echo(bench.get(), size, true);
  many_at_once(bench.get());
  too_large(bench.get());
  late(bench.get());
  echo(bench.get(), 10, false);
  bad_request(telemetry.get());
  grpc::ClientContext context;
  telemetry::v1::Summary summary;
  telemetry::v1::IngestRequest batch;
  for (int i = 0; i < 1000; i++) {
    auto* r = batch.add_records();
    r->set_source("grpc++");
    (*r->mutable_labels())["host"] = "h" + std::to_string(i);
  }
  grpc::Status s = telemetry->Ingest(&context, batch, &summary);
  check(s.ok() && summary.records() == 1000 && summary.labels() == 1000, "a batch", s);
  auto streams = Interop::NewStub(grpc::CreateChannel(argv[3], grpc::InsecureChannelCredentials()));
  for (int count : {0, 1, 100}) download(streams.get(), count, 0);
  for (int count : {0, 3}) download(streams.get(), count, grpc::StatusCode::FAILED_PRECONDITION);
  for (int after : {0, 3}) upload(streams.get(), after);
  chat(streams.get(), 0, 0);
  chat(streams.get(), 3, 0);
  chat(streams.get(), 3, grpc::StatusCode::FAILED_PRECONDITION);
  gone(streams.get(), "grpc++ cancels", false);
  gone(streams.get(), "grpc++ is late", true);
  printf("%d checks, all passed\n", checks);
}
