// The peer: gRPC C++'s asynchronous server as its users write it when they want speed. One thread, one completion
// queue, many requests posted in advance, so that accepting a call never waits for the application.
//   grpcpp-server PORT
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include "bench.grpc.pb.h"

namespace {

constexpr int kPosted = 1024;  // more than the load generator ever has in flight

using bench::v1::Echo;
using Request = bench::v1::EchoRequest;
using Reply = bench::v1::EchoReply;

// One posted request. It is answered, finished, and posted again: nothing but what gRPC itself needs is allocated.
class Slot {
 public:
  Slot(Echo::AsyncService* service, grpc::ServerCompletionQueue* queue) : service_(service), queue_(queue) { post(); }

  void step(bool ok) {
    if (!answering_) {
      if (!ok) return;  // the server shuts down
      answering_ = true;
      reply_.set_text(request_.text());
      reply_.set_number(request_.number());
      writer_->Finish(reply_, grpc::Status::OK, this);
      return;
    }
    answering_ = false;
    post();
  }

 private:
  void post() {
    // A context and its writer serve one call; they are built again in place.
    writer_.reset();
    context_.reset();
    context_.emplace();
    writer_.emplace(&*context_);
    request_.Clear();
    service_->RequestEcho(&*context_, &request_, &*writer_, queue_, queue_, this);
  }

  Echo::AsyncService* service_;
  grpc::ServerCompletionQueue* queue_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<Reply>> writer_;
  Request request_;
  Reply reply_;
  bool answering_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return fprintf(stderr, "usage: grpcpp-server PORT\n"), 2;
  Echo::AsyncService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(std::string("127.0.0.1:") + argv[1], grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto queue = builder.AddCompletionQueue();
  auto server = builder.BuildAndStart();
  if (!server || port == 0) return fprintf(stderr, "grpcpp-server: cannot listen\n"), 1;
  printf("listening 127.0.0.1:%d\n", port);
  fflush(stdout);

  std::vector<std::unique_ptr<Slot>> slots;
  for (int i = 0; i < kPosted; i++) slots.push_back(std::make_unique<Slot>(&service, queue.get()));
  void* tag;
  bool ok;
  while (queue->Next(&tag, &ok)) static_cast<Slot*>(tag)->step(ok);
}
