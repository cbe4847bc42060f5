// Writes the data sets of bench/codec: NAME.bin, payloads each behind its length in four bytes. Usage: data FOLDER SEED
#include "data.h"

#include <cstdlib>
#include <cstring>

namespace {

void write(const std::string& folder, const char* name, const std::vector<std::string>& payloads) {
  FILE* f = fopen((folder + "/" + name + ".bin").c_str(), "wb");
  size_t bytes = 0;
  for (const std::string& p : payloads) {
    uint32_t n = uint32_t(p.size());
    if (!f || fwrite(&n, 1, 4, f) != 4 || fwrite(p.data(), 1, n, f) != n) {
      fprintf(stderr, "data: cannot write %s/%s.bin\n", folder.c_str(), name);
      exit(1);
    }
    bytes += n;
  }
  fclose(f);
  printf("%s\t%zu\t%zu\n", name, payloads.size(), bytes);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  const std::string folder = argv[1];
  const uint64_t seed = strtoull(argv[2], nullptr, 10);
  const std::string batch = data::log_batch();
  if (batch.size() != 22370) {
    fprintf(stderr, "data: the log batch is not 22,370 bytes\n");
    return 1;
  }
  data::Random random(seed);
  write(folder, "api", random.many(50, [&] { return random.api(); }));
  write(folder, "logrec", random.many(50, [&] { return random.record(); }));
  write(folder, "analytics", random.many(50, [&] { return random.event(); }));
  write(folder, "gm1", {random.wide()});
  write(folder, "logbatch", {batch});
  write(folder, "logvar", data::log_variety(seed, true));
  write(folder, "logmixed", data::log_variety(seed, false));
  write(folder, "anbig", random.many(2000, [&] { return random.event(); }));
  write(folder, "packedfixed", {random.packed(true)});
  write(folder, "packedvarint", {random.packed(false)});
  write(folder, "sparse200", {random.sparse(200, 3)});
  write(folder, "sparse30", {random.sparse(30, 2)});
  return 0;
}
