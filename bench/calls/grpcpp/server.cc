// The peer: gRPC C++'s asynchronous server as its users write it when they want speed. One thread, one completion
// queue, many requests posted in advance, so that accepting a call never waits for the application.
//   grpcpp-server PORT
#include <grpcpp/grpcpp.h>
#include <stdio.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench.grpc.pb.h"

namespace {

using namespace bench::v1;

constexpr int kPosted = 1024;  // of each method: more than the load generator ever has in flight

void answer(const EchoRequest& request, EchoReply* reply) {
  if (!request.text().empty()) reply->set_text(request.text());
  if (request.number()) reply->set_number(request.number());
  if (!request.payload().empty()) reply->set_payload(request.payload());
}

// Every field is read.
void answer(const LogBatch& batch, LogSummary* reply) {
  size_t length = 0;
  int64_t numbers = 0;
  Severity highest = SEVERITY_UNSPECIFIED;
  for (const LogRecord& r : batch.records()) {
    length += r.service().size() + r.instance().size() + r.text().size() + r.trace_id().size() + r.span_id().size();
    for (const auto& label : r.labels()) length += label.first.size() + label.second.size();
    length += r.source().file().size() + r.source().function().size();
    numbers += r.timestamp_ns() + r.source().line();
    highest = std::max(highest, r.severity());
  }
  static volatile int64_t sink;
  sink = numbers;
  reply->set_count(batch.records_size());
  reply->set_length(int64_t(length));
  reply->set_highest(highest);
}

struct Slot {
  virtual ~Slot() = default;
  virtual void step(bool ok) = 0;
};

// One posted request. It is answered, finished, and posted again: messages keep their memory, and nothing but what gRPC
// itself needs is allocated.
template <class Request, class Reply, auto Post>
class SlotOf final : public Slot {
 public:
  SlotOf(Echo::AsyncService* service, grpc::ServerCompletionQueue* queue) : service_(service), queue_(queue) { post(); }

  void step(bool ok) override {
    if (answering_) return post();
    if (!ok) return;  // the server shuts down
    answering_ = true;
    reply_.Clear();
    answer(request_, &reply_);
    writer_->Finish(reply_, grpc::Status::OK, static_cast<Slot*>(this));
  }

 private:
  void post() {
    // A context and its writer serve one call; they are built again in place.
    answering_ = false;
    writer_.reset();
    context_.emplace();
    writer_.emplace(&*context_);
    request_.Clear();
    (service_->*Post)(&*context_, &request_, &*writer_, queue_, queue_, static_cast<Slot*>(this));
  }

  Echo::AsyncService* service_;
  grpc::ServerCompletionQueue* queue_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<Reply>> writer_;
  Request request_;
  Reply reply_;
  bool answering_ = false;
};

using EchoSlot = SlotOf<EchoRequest, EchoReply, &Echo::AsyncService::RequestEcho>;
using IngestSlot = SlotOf<LogBatch, LogSummary, &Echo::AsyncService::RequestIngest>;

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
  for (int i = 0; i < kPosted; i++) slots.push_back(std::make_unique<EchoSlot>(&service, queue.get()));
  for (int i = 0; i < kPosted / 8; i++) slots.push_back(std::make_unique<IngestSlot>(&service, queue.get()));
  void* tag;
  bool ok;
  while (queue->Next(&tag, &ok)) static_cast<Slot*>(tag)->step(ok);
}
