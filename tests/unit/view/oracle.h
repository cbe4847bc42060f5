// libprotobuf as the oracle of the decoder: random messages, and a comparison of every field of a view with them.
#pragma once

#include <google/protobuf/message.h>

#include <random>
#include <string>
#include <vector>

#include "view/table.h"
#include "view/view.h"

namespace oracle {

using Random = std::mt19937_64;
using PbMessage = google::protobuf::Message;

// The schema of the test protos, bound to each dispatcher that this machine can run.
struct Bound {
  const zcrpc::view::Dispatcher* dispatcher;
  zcrpc::schema::Schema* schema;
};
const std::vector<Bound>& schemas();
// Empty messages of the types that tests start from.
const std::vector<const PbMessage*>& roots();

void fill(PbMessage* m, Random& random, int depth);
std::string encode(const PbMessage& m);
// The top-level fields in another order.
std::string shuffled(const std::string& bytes, Random& random);
std::string mutated(std::string bytes, Random& random);

// "" if all fields of v are those of m, else the path of the first that differs.
std::string difference(zcrpc::schema::View v, const zcrpc::schema::Message* type, const PbMessage& m, bool unknown_too);

// One decode, its memory included.
struct Decoded {
  zcrpc::base::Arena arena;
  std::string bytes;  // of the input, and slack behind it if that was asked for
  zcrpc::schema::View view = nullptr;
  zcrpc::base::Status status;
  std::string index() const;  // its bytes
  Decoded(const zcrpc::schema::Message* type, const std::string& in, bool slack, const zcrpc::view::Limits& limits = {});
  ~Decoded();

 private:
  char* exact_ = nullptr;
};

}  // namespace oracle
