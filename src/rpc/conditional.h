// Conditional GET: whether a client has the answer already (RFC 9110, 13.1.2).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/metadata.h"

namespace zcrpc::rpc {

// Whether a value of if-none-match names the tag: `"*"`, or a list of tags, compared without the mark of weak ones.
bool names_tag(std::string_view if_none_match, std::string_view tag);
// The same over all of a request's; false if there are none.
bool has_tag(const base::Metadata& request, std::string_view tag);

// A weak tag for an answer's bytes, which does not depend on how they are compressed: W/"0123456789abcdef".
inline constexpr size_t kTag = 20;
std::string_view write_tag(uint64_t hash, char out[kTag]);

}  // namespace zcrpc::rpc
