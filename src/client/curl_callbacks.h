// What libcurl calls. None of them may call back into the same multi handle.
#pragma once

#include "client/curl.h"

namespace zcrpc::client {

struct CurlCallbacks {
  static int socket(CURL* easy, curl_socket_t fd, int what, void* user, void* own);
  static int timer(CURLM* multi, long ms, void* user);
  static curl_socket_t open_socket(void* user, curlsocktype purpose, curl_sockaddr* address);
  static int close_socket(void* user, curl_socket_t fd);
  static size_t header(char* line, size_t one, size_t n, void* user);
  static size_t data(char* bytes, size_t one, size_t n, void* user);
};

}  // namespace zcrpc::client
