// Calendar and ranges of Timestamp and Duration.
#pragma once

#include <cstdint>
#include <string_view>

namespace zcrpc::json {

inline constexpr int64_t kMinTimestamp = -62135596800, kMaxTimestamp = 253402300799;  // years 1 to 9999
inline constexpr int64_t kMaxDuration = 315576000000;                                 // 10,000 years
inline constexpr int32_t kMaxNanos = 999999999;

struct Civil {
  int32_t year;
  uint32_t month, day;  // from 1
};
// Days since 1970-01-01 of the Gregorian calendar, and back. Years 0 to 10000.
int64_t days_from_civil(Civil c);
Civil civil_from_days(int64_t days);

// "2026-11-21T09:30:00.5+01:00" to seconds since 1970 and nanoseconds; nullptr, or what is wrong with it.
const char* read_timestamp(std::string_view s, int64_t* seconds, int32_t* nanos);
// "-1.5s"
const char* read_duration(std::string_view s, int64_t* seconds, int32_t* nanos);

}  // namespace zcrpc::json
