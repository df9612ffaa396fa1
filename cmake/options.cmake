# SPDX-License-Identifier: MIT
# What a builder may choose, and the flags every target of the tree shares.
option(NMIRCU_BUILD_TOOLS "Build the nmi command and the agent" ON)
option(NMIRCU_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(NMIRCU_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(NMIRCU_BUILD_BENCH "Build the benchmarks" OFF)
set(default_baremetal OFF)
if(PROJECT_IS_TOP_LEVEL AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(default_baremetal ON)
endif()
option(NMIRCU_BUILD_BAREMETAL "Build the bootable image (never with sanitizers)" ${default_baremetal})
option(NMIRCU_WERROR "Treat warnings as errors" ${PROJECT_IS_TOP_LEVEL})
set(NMIRCU_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

# The variant of src/arch chosen by include path. ThreadSanitizer cannot see the inline assembly of
# a per-CPU increment, so it takes the generic variant, which counts with atomics only.
if(NMIRCU_SANITIZE MATCHES "thread")
    set(default_arch generic)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(default_arch x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(default_arch aarch64)
else()
    set(default_arch generic)
endif()
set(NMIRCU_ARCH ${default_arch} CACHE STRING "Folder of src/arch to build with")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
find_package(Threads REQUIRED)

# Flags for the tree's own targets; never exported to consumers.
add_library(nmircu_flags INTERFACE)
target_compile_options(nmircu_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-unused-parameter
    -fno-omit-frame-pointer
    # Valgrind 3.19 cannot read the DWARF 5 that clang 14 writes.
    $<$<CXX_COMPILER_ID:Clang>:-gdwarf-4>
    # g++ 12 at -O3 sees overlapping copies in operator+ of strings (GCC bug 105329).
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<COMPILE_LANGUAGE:CXX>>:-Wno-restrict>
    $<$<BOOL:${NMIRCU_WERROR}>:-Werror>)
if(NMIRCU_SANITIZE)
    target_compile_options(nmircu_flags INTERFACE -fsanitize=${NMIRCU_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(nmircu_flags INTERFACE -fsanitize=${NMIRCU_SANITIZE})
    if(NMIRCU_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # The engine's fences are paired with atomics ThreadSanitizer does see.
        target_compile_options(nmircu_flags INTERFACE -Wno-tsan)
    endif()
endif()
