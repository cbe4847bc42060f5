#include <zcrpc.h>

uint32_t zcrpc_version(void) { return ZCRPC_VERSION; }

uint32_t zcrpc_layout(void) { return ZCRPC_LAYOUT; }

// The ZCRPC_WITH_ macros come from CMakeLists.txt, which knows the folders and libraries of this build.
uint64_t zcrpc_features(void) {
  uint64_t f = 0;
#ifdef ZCRPC_WITH_CLIENT
  f |= ZCRPC_FEATURE_CLIENT;
#endif
#ifdef ZCRPC_WITH_SERVER
  f |= ZCRPC_FEATURE_SERVER;
#endif
#ifdef ZCRPC_WITH_TLS
  f |= ZCRPC_FEATURE_TLS;
#endif
#ifdef ZCRPC_WITH_JSON
  f |= ZCRPC_FEATURE_JSON;
#endif
#ifdef ZCRPC_WITH_ZSTD
  f |= ZCRPC_FEATURE_ZSTD;
#endif
#ifdef ZCRPC_WITH_BROTLI
  f |= ZCRPC_FEATURE_BROTLI;
#endif
#ifdef ZCRPC_WITH_SNAPPY
  f |= ZCRPC_FEATURE_SNAPPY;
#endif
  return f;
}
