# What `cmake --install` puts where: headers, both libraries, zcrpc.pc, and the CMake package.
include(CMakePackageConfigHelpers)
if(NOT TARGET zcrpc)
  return()
endif()

# pkg-config's private part, for those who link libzcrpc.a: what the modules of this build asked for, from the system's
# shared libraries. Not as Requires.private: --static would then ask for the static closure of libcurl.
get_property(links GLOBAL PROPERTY ZCRPC_LINKS)
list(REMOVE_DUPLICATES links)
set(ZCRPC_PC_LIBS_PRIVATE "")
foreach(item IN LISTS links)
  if(item MATCHES "^PkgConfig::ZCRPC_(.*)$")
    foreach(name IN LISTS ZCRPC_${CMAKE_MATCH_1}_LIBRARIES)
      string(APPEND ZCRPC_PC_LIBS_PRIVATE "-l${name} ")
    endforeach()
  elseif(item MATCHES "/lib([^/]*)\\.(so|a)$")
    string(APPEND ZCRPC_PC_LIBS_PRIVATE "-l${CMAKE_MATCH_1} ")
  endif()
endforeach()
string(APPEND ZCRPC_PC_LIBS_PRIVATE "-lstdc++ -lm -pthread")
# Relative to the file itself, so that a staged or moved tree works.
file(RELATIVE_PATH ZCRPC_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" ZCRPC_PC_UP "${ZCRPC_PC_UP}")
configure_file(${PROJECT_SOURCE_DIR}/pkgconfig/zcrpc.pc.in ${PROJECT_BINARY_DIR}/zcrpc.pc @ONLY)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# The .proto texts that users import and protoc does not bring: google/rpc/*.proto.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zcrpc/proto FILES_MATCHING PATTERN "*.proto")
install(TARGETS zcrpc EXPORT zcrpc LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS zcrpc_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_BINARY_DIR}/zcrpc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/zcrpc)
install(EXPORT zcrpc NAMESPACE zcrpc:: FILE zcrpc-targets.cmake DESTINATION ${package})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/zcrpc-config.cmake.in
  ${PROJECT_BINARY_DIR}/zcrpc-config.cmake INSTALL_DESTINATION ${package}
  PATH_VARS CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/zcrpc-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/zcrpc-config.cmake ${PROJECT_BINARY_DIR}/zcrpc-config-version.cmake
  ${PROJECT_SOURCE_DIR}/cmake/ZcrpcGenerate.cmake DESTINATION ${package})

if(TARGET protoc-gen-zcrpc)
  install(TARGETS protoc-gen-zcrpc RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # buf and others look for a plugin by language: protoc-gen-zcrpc-c.
  install(CODE "file(CREATE_LINK protoc-gen-zcrpc \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/protoc-gen-zcrpc-c\" SYMBOLIC)")
endif()
