# zcrpc_generate(TARGET <target> PROTOS a.proto ... [IMPORT_DIRS dir ...] [OUT_DIR dir])
#
# Makes a.zcrpc.c and a.zcrpc.h from each a.proto with protoc and protoc-gen-zcrpc, adds the sources to <target> and
# their folder to its include directories. A .proto is named as it is imported: relative to one of IMPORT_DIRS
# (default: the current source folder), which also decides where its output lies. OUT_DIR's default is
# ${CMAKE_CURRENT_BINARY_DIR}/zcrpc. Generated code includes that of what its .proto imports: name that one too, also
# google/protobuf/timestamp.proto and its kin, which are found beside protoc, and google/rpc/status.proto and its kin, which
# come with zcrpc.
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/../proto/google/rpc/status.proto)
  get_filename_component(ZCRPC_PROTO_DIR ${CMAKE_CURRENT_LIST_DIR}/../proto ABSOLUTE)
else()  # installed: lib/cmake/zcrpc, share/zcrpc/proto
  foreach(up ../../.. ../../../.. ../..)
    if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/${up}/share/zcrpc/proto)
      get_filename_component(ZCRPC_PROTO_DIR ${CMAKE_CURRENT_LIST_DIR}/${up}/share/zcrpc/proto ABSOLUTE)
      break()
    endif()
  endforeach()
endif()

function(zcrpc_generate)
  cmake_parse_arguments(A "" "TARGET;OUT_DIR" "PROTOS;IMPORT_DIRS" ${ARGN})
  if(NOT A_TARGET OR NOT A_PROTOS)
    message(FATAL_ERROR "zcrpc_generate needs TARGET and PROTOS")
  endif()
  if(NOT A_OUT_DIR)
    set(A_OUT_DIR ${CMAKE_CURRENT_BINARY_DIR}/zcrpc)
  endif()
  if(NOT A_IMPORT_DIRS)
    set(A_IMPORT_DIRS ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  if(TARGET protoc-gen-zcrpc)
    set(plugin $<TARGET_FILE:protoc-gen-zcrpc>)
    set(plugin_target protoc-gen-zcrpc)
  else()
    set(plugin ${ZCRPC_PLUGIN})
    set(plugin_target "")
  endif()
  if(NOT ZCRPC_PROTOC)
    find_program(ZCRPC_PROTOC protoc REQUIRED)
  endif()
  set(paths "")
  list(APPEND A_IMPORT_DIRS ${ZCRPC_PROTO_DIR})  # google/rpc/
  foreach(dir IN LISTS A_IMPORT_DIRS)
    get_filename_component(dir ${dir} ABSOLUTE)
    list(APPEND paths -I${dir})
  endforeach()
  file(MAKE_DIRECTORY ${A_OUT_DIR})
  set(outputs "")
  foreach(proto IN LISTS A_PROTOS)
    set(file "")
    foreach(dir IN LISTS A_IMPORT_DIRS)
      get_filename_component(candidate ${dir}/${proto} ABSOLUTE)
      if(EXISTS ${candidate})
        set(file ${candidate})
        break()
      endif()
    endforeach()
    # The well-known types come with protoc.
    if(NOT file AND proto MATCHES "^google/protobuf/")
      find_path(ZCRPC_PROTO_INCLUDE google/protobuf/any.proto DOC "where google/protobuf/*.proto lie")
      if(EXISTS ${ZCRPC_PROTO_INCLUDE}/${proto})
        set(file ${ZCRPC_PROTO_INCLUDE}/${proto})
      endif()
    endif()
    if(NOT file)
      message(FATAL_ERROR "zcrpc_generate: ${proto} is in none of ${A_IMPORT_DIRS}")
    endif()
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(made ${A_OUT_DIR}/${stem}.zcrpc.c ${A_OUT_DIR}/${stem}.zcrpc.h)
    add_custom_command(
      OUTPUT ${made}
      COMMAND ${ZCRPC_PROTOC} --plugin=protoc-gen-zcrpc=${plugin} --zcrpc_out=lang=c:${A_OUT_DIR} ${paths} ${proto}
      DEPENDS ${file} ${plugin_target}
      COMMENT "zcrpc: ${proto}" VERBATIM)
    list(APPEND outputs ${made})
  endforeach()
  target_sources(${A_TARGET} PRIVATE ${outputs})
  target_include_directories(${A_TARGET} PRIVATE ${A_OUT_DIR})
endfunction()
