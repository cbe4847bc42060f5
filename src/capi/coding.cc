// Codings of the application's own, among the options of a server or channel.
#include <cstring>
#include <new>

#include "capi/guard.h"
#include "capi/options.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Status;

zcrpc_code zcrpc_options_add_coding(zcrpc_options* o, const zcrpc_coding* coding, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    if (!o || !coding || coding->struct_size < sizeof *coding || !coding->name) return wrong("zcrpc_options_add_coding: no options, or no coding");
    Options* options = from_c(o);
    if (options->what != ZCRPC_FOR_SERVER && options->what != ZCRPC_FOR_CHANNEL)
      return Status(Code::kInvalidArgument, "a coding is for ZCRPC_FOR_SERVER and ZCRPC_FOR_CHANNEL");
    if (!options->codings && !(options->codings = new (std::nothrow) compress::Registry)) return Status::no_memory();
    return options->codings->add(coding->name, {coding->compress, coding->expand, coding->user});
  });
}
