#include "json/time.h"

#include <cstddef>

namespace zcrpc::json {

namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

// Exactly n digits at s[at].
bool digits(std::string_view s, size_t at, size_t n, uint32_t* v) {
  if (s.size() < at + n) return false;
  *v = 0;
  for (size_t i = at; i < at + n; i++) {
    if (!digit(s[i])) return false;
    *v = *v * 10 + uint32_t(s[i] - '0');
  }
  return true;
}

// ".5" at s[*at], 1 to 9 digits, if there is a point.
bool fraction(std::string_view s, size_t* at, int32_t* nanos) {
  *nanos = 0;
  if (*at == s.size() || s[*at] != '.') return true;
  size_t start = ++*at;
  int32_t unit = 100'000'000;
  while (*at < s.size() && digit(s[*at])) {
    if (*at - start == 9) return false;
    *nanos += unit * (s[(*at)++] - '0');
    unit /= 10;
  }
  return *at > start;
}

bool leap(uint32_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }
uint32_t days_in(uint32_t year, uint32_t month) {
  if (month == 2) return leap(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

}  // namespace

// Both count years from March, so that the leap day is a year's last, and days within an era of 400 years (146,097 days).
int64_t days_from_civil(Civil c) {
  int32_t y = c.month > 2 ? c.year : c.year - 1;
  int32_t era = (y >= 0 ? y : y - 399) / 400;
  auto year_of_era = uint32_t(y - era * 400);
  uint32_t month = (c.month + 9) % 12;  // March is 0
  uint32_t day_of_year = (153 * month + 2) / 5 + c.day - 1;
  uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return int64_t(era) * 146097 + day_of_era - 719468;
}

Civil civil_from_days(int64_t days) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  auto day_of_era = uint32_t(days - era * 146097);
  uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  uint32_t month = (5 * day_of_year + 2) / 153;
  uint32_t day = day_of_year - (153 * month + 2) / 5 + 1;
  month = month < 10 ? month + 3 : month - 9;
  return {int32_t(era * 400 + year_of_era) + (month <= 2), month, day};
}

const char* read_timestamp(std::string_view s, int64_t* seconds, int32_t* nanos) {
  constexpr const char* kForm = "expected a timestamp such as 2006-01-02T15:04:05.999Z";
  constexpr const char* kRange = "a timestamp outside of the years 1 to 9999";
  uint32_t year, month, day, hour, minute, second;
  if (s.size() < 20 || !digits(s, 0, 4, &year) || s[4] != '-' || !digits(s, 5, 2, &month) || s[7] != '-' ||
      !digits(s, 8, 2, &day) || s[10] != 'T' || !digits(s, 11, 2, &hour) || s[13] != ':' || !digits(s, 14, 2, &minute) ||
      s[16] != ':' || !digits(s, 17, 2, &second))
    return kForm;
  if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59)
    return "no such date or time";
  size_t at = 19;
  if (!fraction(s, &at, nanos)) return "a timestamp has 1 to 9 digits of fraction";
  int64_t offset = 0;
  if (at < s.size() && s[at] == 'Z') {
    at++;
  } else {
    uint32_t hours, minutes;
    if (at == s.size() || (s[at] != '+' && s[at] != '-') || !digits(s, at + 1, 2, &hours) || s.size() < at + 6 ||
        s[at + 3] != ':' || !digits(s, at + 4, 2, &minutes))
      return kForm;
    if (hours > 23 || minutes > 59) return "no such offset from UTC";
    offset = int64_t(hours) * 3600 + minutes * 60;
    if (s[at] == '-') offset = -offset;
    at += 6;
  }
  if (at != s.size()) return kForm;
  *seconds = days_from_civil({int32_t(year), month, day}) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return *seconds < kMinTimestamp || *seconds > kMaxTimestamp ? kRange : nullptr;
}

const char* read_duration(std::string_view s, int64_t* seconds, int32_t* nanos) {
  constexpr const char* kForm = "expected a duration such as 1.5s";
  bool negative = !s.empty() && s[0] == '-';
  size_t start = negative, at = start;
  *seconds = 0;
  for (; at < s.size() && digit(s[at]); at++)
    if (*seconds <= kMaxDuration) *seconds = *seconds * 10 + (s[at] - '0');
  if (at == start || (at - start > 1 && s[start] == '0')) return kForm;
  if (!fraction(s, &at, nanos)) return "a duration has 1 to 9 digits of fraction";
  if (at + 1 != s.size() || s[at] != 's') return kForm;
  if (*seconds > kMaxDuration) return "a duration beyond 315,576,000,000 seconds";
  if (negative) {
    *seconds = -*seconds;
    *nanos = -*nanos;
  }
  return nullptr;
}

}  // namespace zcrpc::json
