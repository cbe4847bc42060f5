// zcrpc.h, section 11: Timestamp and Duration.
#include "base/clock.h"
#include "capi/convert.h"
#include "capi/guard.h"
#include "encode/state.h"

using namespace zcrpc;
using namespace zcrpc::capi;
using base::Code;
using base::Status;
using schema::WellKnown;

namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kFirst = -62135596800, kLast = 253402300799;  // 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z
constexpr int64_t kLongest = 315576000000;                      // 10,000 years of 365.25 days

Status check(int32_t what, int64_t seconds, int32_t nanos) {
  if (what == ZCRPC_TIMESTAMP) {
    if (seconds < kFirst || seconds > kLast) return wrong("a Timestamp outside of the years 1 to 9999");
    if (nanos < 0 || nanos >= kSecond) return wrong("nanos of a Timestamp are 0 to 999999999");
    return {};
  }
  if (what != ZCRPC_DURATION) return wrong("neither ZCRPC_TIMESTAMP nor ZCRPC_DURATION");
  if (seconds < -kLongest || seconds > kLongest) return wrong("a Duration of more than 315576000000 s");
  if (nanos <= -kSecond || nanos >= kSecond) return wrong("nanos of a Duration are -999999999 to 999999999");
  if ((seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0)) return wrong("seconds and nanos of a Duration have different signs");
  return {};
}

Status join(int32_t what, int64_t seconds, int32_t nanos, int64_t* ns) {
  ZCRPC_TRY(check(what, seconds, nanos));
  if (!ns) return {};
  int64_t rest = nanos;
  if (seconds < 0 && rest > 0) {  // so that the product does not overflow where the sum would not
    seconds++;
    rest -= kSecond;
  }
  int64_t product, sum;
  if (__builtin_mul_overflow(seconds, kSecond, &product) || __builtin_add_overflow(product, rest, &sum))
    return Status(Code::kOutOfRange, "too far away for nanoseconds in 64 bits");
  *ns = sum;
  return {};
}

// A timestamp's nanos count forward, a duration's have its sign.
void split(int32_t what, int64_t ns, int64_t* seconds, int32_t* nanos) {
  *seconds = ns / kSecond;
  *nanos = int32_t(ns % kSecond);
  if (what == ZCRPC_DURATION || *nanos >= 0) return;
  *seconds -= 1;
  *nanos += int32_t(kSecond);
}

int32_t what_of(const schema::Message* m) {
  if (m && m->well_known == WellKnown::kTimestamp) return ZCRPC_TIMESTAMP;
  return m && m->well_known == WellKnown::kDuration ? ZCRPC_DURATION : 0;
}

}  // namespace

int64_t zcrpc_time_now(void) { return base::system_clock()->wall(); }

void zcrpc_time_split(int32_t what, int64_t ns, int64_t* seconds, int32_t* nanos) {
  int64_t s;
  int32_t n;
  split(what, ns, seconds ? seconds : &s, nanos ? nanos : &n);
}

zcrpc_code zcrpc_time_join(int32_t what, int64_t seconds, int32_t nanos, int64_t* ns, zcrpc_error** err) {
  return guard(err, [&] { return join(what, seconds, nanos, ns); });
}

zcrpc_code zcrpc_view_time(const zcrpc_view* v, int64_t* ns, zcrpc_error** err) {
  return guard(err, [&]() -> Status {
    schema::View view = from_c(v);
    if (!view) {
      if (ns) *ns = 0;
      return {};
    }
    const schema::Message* type = schema::type_of(view);
    int32_t what = what_of(type);
    if (!what) return wrong("zcrpc_view_time: neither a Timestamp nor a Duration");
    return join(what, int64_t(schema::number(view, &type->fields[0])), int32_t(schema::number(view, &type->fields[1])), ns);
  });
}

void zcrpc_encoder_put_time(zcrpc_encoder* c, uint32_t field, int64_t ns) {
  encode::Encoder* e = from_c(c);
  if (!e || encode::failed(e)) return;
  const schema::Message* type = encode::type_of(e);
  if (field) {
    const schema::Field* f = type ? type->by_number(field) : nullptr;
    if (!f && type) f = type->extension(field);
    type = f && !f->is_map() ? f->message : nullptr;
  }
  int32_t what = what_of(type);
  if (!what) return encode::fail(e, wrong("zcrpc_encoder_put_time: no field of type Timestamp or Duration"));
  int64_t seconds;
  int32_t nanos;
  split(what, ns, &seconds, &nanos);
  if (field) encode::begin(e, field);
  if (seconds || e->editing) encode::put_int64(e, 1, seconds);  // an edit has to take the place of what was there
  if (nanos || e->editing) encode::put_int64(e, 2, nanos);
  if (field) encode::end(e);
}
