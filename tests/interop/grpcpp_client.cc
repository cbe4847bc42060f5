// Unary calls by gRPC C++: small and large, many at once, metadata, errors with details, deadlines, compression.
//   interop-grpcpp-client BENCH-ADDRESS TELEMETRY-ADDRESS
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
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
  printf("%d checks, all passed\n", checks);
}
