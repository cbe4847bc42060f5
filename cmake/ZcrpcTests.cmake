# How tests are declared. A test's label is the folder under tests/ that it lies in.
#
#   zcrpc_unit_test(NAME SOURCES ... LIBS base view ... [TIMEOUT seconds] [ARGS ...])
#     C++ with cmocka against the objects of the modules in LIBS and of all that those need; third-party libraries
#     (protobuf, nghttp2, ...) may stand in LIBS too. Include roots: src/, include/, tests/.
#   zcrpc_api_test(NAME SOURCES ... [LIBS pthread ...] [TIMEOUT seconds] [ARGS ...])
#     C with cmocka, through the public header and the shared library only.
#   zcrpc_fuzz_target(NAME SOURCES ... LIBS ...)
#     LLVMFuzzerTestOneInput. With ZCRPC_FUZZ a libFuzzer program in bin/fuzz-NAME; without it a program that
#     replays tests/fuzz/corpus/NAME once, as a test.

zcrpc_third_party(cmocka ZCRPC_CMOCKA)
if(NOT ZCRPC_CMOCKA)
  message(FATAL_ERROR "the tests need cmocka: scripts/deps check installs it, -DZCRPC_TESTS=OFF leaves them out")
endif()

function(zcrpc_test_label result)
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "/.*" "" label "${path}")
  set(${result} ${label} PARENT_SCOPE)
endfunction()

# What takes long begins first, so that no core waits for it at the end.
set(ZCRPC_LONG_TESTS view_differential view_hostile_modes encode_differential_test encode_edit_random_test server_faults
  server_untaken api_hostile_wire codegen_corpus interop_browser)

function(zcrpc_test_register name timeout)
  zcrpc_test_label(label)
  if(NOT timeout)
    set(timeout 180)
  endif()
  # Tests of code with threads or sockets carry a second label; they are what runs under ThreadSanitizer.
  # (api_hostile has neither, and would take minutes there.)
  if((label STREQUAL "api" AND NOT name MATCHES "^api_hostile") OR CMAKE_CURRENT_SOURCE_DIR MATCHES "/tests/unit/(net|tls|server|client|capi)$")
    list(APPEND label threads)
  endif()
  if(name IN_LIST ZCRPC_LONG_TESTS)
    set_tests_properties(${name} PROPERTIES COST 100)
  endif()
  # A cmocka test that skips a case must not look like one that passed.
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout}
    SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\] [0-9]+ test"
    ENVIRONMENT "ZCRPC_SOURCE_DIR=${PROJECT_SOURCE_DIR};ZCRPC_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endfunction()

# What protoc has written for libprotobuf, which is itself not instrumented: under sanitizers, or optimised, it costs more to
# compile than the tests that use it.
function(zcrpc_foreign_sources)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-w;-O0;-g0;-fno-sanitize=all")
endfunction()

function(zcrpc_cxx_test_program target)
  cmake_parse_arguments(A "" "" "SOURCES;MODULES;LINKS" ${ARGN})
  zcrpc_module_objects(A_MODULES objects)
  add_executable(${target} ${A_SOURCES} ${objects})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  target_compile_options(${target} PRIVATE ${ZCRPC_WARNINGS})
  target_compile_definitions(${target} PRIVATE ZCRPC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_include_directories(${target} PRIVATE
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests)
  foreach(module IN LISTS A_MODULES)
    target_include_directories(${target} PRIVATE $<TARGET_PROPERTY:zcrpc_${module},INTERFACE_INCLUDE_DIRECTORIES>)
  endforeach()
  target_link_libraries(${target} PRIVATE ${A_LINKS} Threads::Threads)
endfunction()

# For tests/support/codings.h: which codings this build has.
function(zcrpc_test_codings)
  foreach(name IN LISTS ARGN)
    foreach(coding ZSTD BROTLI SNAPPY)
      if(TARGET ${name} AND ZCRPC_${coding})
        target_compile_definitions(${name} PRIVATE TEST_${coding})
      endif()
    endforeach()
  endforeach()
endfunction()

function(zcrpc_unit_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LIBS;ARGS" ${ARGN})
  zcrpc_resolve(A_LIBS modules links missing)
  foreach(source IN LISTS A_SOURCES)
    if(NOT IS_ABSOLUTE ${source} AND NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      message(${ZCRPC_MISSING} "test ${name}: there is no ${source}")
      file(GLOB unused CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      return()
    endif()
  endforeach()
  if(missing)
    message(STATUS "test ${name}: left out, this build has no ${missing}")
    return()
  endif()
  zcrpc_cxx_test_program(${name} SOURCES ${A_SOURCES} MODULES ${modules} LINKS ${links} ${ZCRPC_CMOCKA})
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS})
  zcrpc_test_register(${name} "${A_TIMEOUT}")
endfunction()

function(zcrpc_api_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LIBS;ARGS" ${ARGN})
  if(NOT TARGET zcrpc)
    message(STATUS "test ${name}: left out, there is no library yet")
    return()
  endif()
  zcrpc_resolve(A_LIBS modules links missing)
  if(missing OR modules)
    message(FATAL_ERROR "zcrpc_api_test(${name}): cannot use ${missing} ${modules}; the public library only")
  endif()
  add_executable(${name} ${A_SOURCES})
  target_compile_options(${name} PRIVATE ${ZCRPC_WARNINGS})
  target_compile_definitions(${name} PRIVATE ZCRPC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE zcrpc ${links} ${ZCRPC_CMOCKA} Threads::Threads)
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS})
  zcrpc_test_register(${name} "${A_TIMEOUT}")
endfunction()

function(zcrpc_fuzz_target name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LIBS" ${ARGN})
  zcrpc_resolve(A_LIBS modules links missing)
  if(missing)
    message(STATUS "fuzz target ${name}: left out, this build has no ${missing}")
    return()
  endif()
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(ZCRPC_FUZZ)
    zcrpc_cxx_test_program(fuzz-${name} SOURCES ${A_SOURCES} MODULES ${modules} LINKS ${links})
    target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
  else()
    zcrpc_cxx_test_program(replay-${name} SOURCES ${A_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/replay_main.cc
      MODULES ${modules} LINKS ${links})
    add_test(NAME replay-${name} COMMAND replay-${name} ${corpus})
    zcrpc_test_register(replay-${name} "${A_TIMEOUT}")
  endif()
endfunction()
