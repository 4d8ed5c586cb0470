# How many files an installation compiles at once: no more than fit into memory. The largest need some 380 MB each (by
# GCC 12), the rest of an installation 150, and Ninja's own number, the processors and two more, would take all memory of a small machine.
# A plain CMake build is told by `cmake --build --parallel`.

set(MOBILEINST_COMPILE_JOBS "" CACHE STRING "Files that are compiled at once; empty: as many as 1 GB of memory holds")
set(megabytes_per_file 425)

# What is free, in megabytes, in the machine and in the control group, if one limits it.
function(mobileinst_free_memory out)
  cmake_host_system_information(RESULT free QUERY AVAILABLE_PHYSICAL_MEMORY)
  if(EXISTS /sys/fs/cgroup/memory.max)
    file(READ /sys/fs/cgroup/memory.max limit)
    string(STRIP "${limit}" limit)
    if(limit MATCHES "^[0-9]+$")
      math(EXPR limit "${limit} / 1000000")
      if(limit LESS free)
        set(free ${limit})
      endif()
    endif()
  endif()
  set(${out} ${free} PARENT_SCOPE)
endfunction()

mobileinst_free_memory(memory)
if(MOBILEINST_COMPILE_JOBS)
  set(jobs ${MOBILEINST_COMPILE_JOBS})
elseif(memory LESS 1000)
  math(EXPR jobs "${memory} / ${megabytes_per_file}")
else()
  math(EXPR jobs "1000 / ${megabytes_per_file}")
endif()
if(jobs LESS 1)
  set(jobs 1)
endif()
if(SKBUILD OR MOBILEINST_COMPILE_JOBS)
  set_property(GLOBAL APPEND PROPERTY JOB_POOLS compile=${jobs})
  set(CMAKE_JOB_POOL_COMPILE compile)
  message(STATUS "Compiling ${jobs} at once (MOBILEINST_COMPILE_JOBS), ${memory} MB are free")
endif()
# GCC collects its garbage more often: a fifth less memory, a quarter more time. Always for the bindings, whose files are
# the largest; where little is free, for all.
set(frugal "")
if(SKBUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(frugal --param=ggc-min-expand=20 --param=ggc-min-heapsize=16384)
  if(memory LESS ${megabytes_per_file})
    add_compile_options(${frugal})
  endif()
endif()
