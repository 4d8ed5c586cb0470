# XNNPACK's convolution and fully connected operators of floats and of 8-bit integers (qs8_qc8w) as the static library
# `xnnpack`, built from the files that cmake/xnnpack/*.txt list and nothing else of it. Sources come from third_party/
# (in a source distribution) or are fetched by tools/vendor_xnnpack.py. Sets MOBILEINST_HAS_XNNPACK.
#
# The configuration files of XNNPACK name every micro-kernel; those that are not built are referred to only by
# functions that nobody calls, which the linker drops (--gc-sections) together with the references.

# Nothing is downloaded unless it is asked for.
set(carried OFF)
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/third_party/xnnpack)
  set(carried AUTO)
endif()
set(MOBILEINST_XNNPACK ${carried} CACHE STRING "Build XNNPACK's operators in: AUTO (if they can be had), ON or OFF")
set_property(CACHE MOBILEINST_XNNPACK PROPERTY STRINGS AUTO ON OFF)
set(MOBILEINST_HAS_XNNPACK OFF)

function(mobileinst_find_xnnpack result)
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/third_party)
  if(NOT EXISTS ${folder}/xnnpack)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/third_party)
  endif()
  if(NOT EXISTS ${folder}/xnnpack)
    message(STATUS "XNNPACK: fetching its sources")
    # Not find_package's interpreter: in a cross build that is the target's.
    find_program(MOBILEINST_HOST_PYTHON NAMES python3 python)
    execute_process(
      COMMAND ${MOBILEINST_HOST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/vendor_xnnpack.py ${folder}
      RESULT_VARIABLE status ERROR_VARIABLE reason ERROR_STRIP_TRAILING_WHITESPACE)
    if(NOT status EQUAL 0)
      set(${result} "NOTFOUND" PARENT_SCOPE)
      message(STATUS "XNNPACK: ${reason}")
      return()
    endif()
  endif()
  set(${result} ${folder} PARENT_SCOPE)
endfunction()

# Compiler flags of a micro-kernel, which its file's name tells.
function(mobileinst_xnnpack_flags file result)
  set(flags "")
  set(skylake -mavx512f -mavx512cd -mavx512bw -mavx512dq -mavx512vl)
  if(file MATCHES "-avx512vnni")
    set(flags ${skylake} -mavx512vnni)
  elseif(file MATCHES "-avx512skx")
    set(flags ${skylake})
  elseif(file MATCHES "-avx512f")
    set(flags -mavx512f)
  elseif(file MATCHES "-avxvnni")
    set(flags -mavx2 -mavxvnni)
  elseif(file MATCHES "-avx2")
    set(flags -mavx2)
  elseif(file MATCHES "-fma3")
    set(flags -mavx -mfma)
  elseif(file MATCHES "-avx")
    set(flags -mavx)
  elseif(file MATCHES "-sse41")
    set(flags -msse4.1)
  elseif(file MATCHES "-neondot")
    set(flags -march=armv8.2-a+dotprod)
  elseif(file MATCHES "-neoni8mm")
    set(flags -march=armv8.2-a+i8mm)
  endif()
  set(${result} "${flags}" PARENT_SCOPE)
endfunction()

function(mobileinst_add_xnnpack folder architecture)
  set(files "")
  foreach(list common ${architecture})
    file(STRINGS cmake/xnnpack/${list}.txt names)
    list(APPEND files ${names})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/xnnpack/${list}.txt)
  endforeach()
  set(on AVX512F AVX512SKX)
  # Instruction sets that not every compiler knows, as names of files have them, and XNNPACK's switches.
  set(names avx512vnni avxvnni neondot neoni8mm)
  set(switches AVX512VNNI AVXVNNI ARM_DOTPROD ARM_I8MM)
  foreach(name switch IN ZIP_LISTS names switches)
    mobileinst_xnnpack_flags(-${name} flags)
    list(JOIN flags " " flags)
    check_c_compiler_flag("${flags}" MOBILEINST_XNNPACK_${switch})
    if(MOBILEINST_XNNPACK_${switch})
      list(APPEND on ${switch})
    else()
      list(FILTER files EXCLUDE REGEX "-${name}[-.]")
    endif()
  endforeach()
  list(TRANSFORM files PREPEND ${folder}/)
  add_library(xnnpack STATIC ${files})
  foreach(file IN LISTS files)
    mobileinst_xnnpack_flags(${file} flags)
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${flags}")
  endforeach()
  target_include_directories(xnnpack SYSTEM
    PUBLIC ${folder}/xnnpack/include ${folder}/pthreadpool/include
    PRIVATE ${folder}/xnnpack/src ${folder}/cpuinfo/include ${folder}/cpuinfo/src ${folder}/fxdiv/include)
  set(off
    ARM_BF16 ARM_DOTPROD ARM_FP16_SCALAR ARM_FP16_VECTOR ARM_I8MM ARM_SME ARM_SME2 AVX256SKX AVX256VNNI
    AVX256VNNIGFNI AVX512AMX AVX512FP16 AVX512VBMI AVX512VNNI AVX512VNNIGFNI AVXVNNI AVXVNNIINT8 DWCONV_MULTIPASS HVX
    KLEIDIAI RISCV_VECTOR SPARSE VSX)
  list(REMOVE_ITEM off ${on})
  list(TRANSFORM on REPLACE "(.+)" "XNN_ENABLE_\\1=1")
  list(TRANSFORM off REPLACE "(.+)" "XNN_ENABLE_\\1=0")
  target_compile_definitions(xnnpack PRIVATE
    ${on} ${off} XNN_ENABLE_ASSEMBLY=1 XNN_ENABLE_CPUINFO=1 XNN_ENABLE_GEMM_M_SPECIALIZATION=1 XNN_ENABLE_MEMOPT=1
    XNN_MAX_UARCH_TYPES=1 XNN_LOG_LEVEL=0 CPUINFO_LOG_LEVEL=0 CPUINFO_LOG_TO_STDIO=1 CPUINFO_SUPPORTED_PLATFORM=1
    FXDIV_USE_INLINE_ASSEMBLY=0 _GNU_SOURCE=1)
  target_compile_options(xnnpack PRIVATE -w -O2 -ffunction-sections -fdata-sections)
  set_target_properties(xnnpack PROPERTIES
    C_STANDARD 11 C_EXTENSIONS ON CXX_STANDARD 17 POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
  target_link_options(xnnpack INTERFACE -Wl,--gc-sections)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(architecture x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(architecture aarch64)
endif()
if(NOT MOBILEINST_XNNPACK MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "MOBILEINST_XNNPACK: expected AUTO, ON or OFF, got ${MOBILEINST_XNNPACK}")
elseif(architecture AND CMAKE_SYSTEM_NAME MATCHES "^(Linux|Android)$" AND NOT MOBILEINST_XNNPACK STREQUAL OFF)
  mobileinst_find_xnnpack(folder)
  if(folder)
    enable_language(C ASM)
    include(CheckCCompilerFlag)
    mobileinst_add_xnnpack(${folder} ${architecture})
    set(MOBILEINST_HAS_XNNPACK ON)
    message(STATUS "XNNPACK: built in")
  endif()
endif()
if(NOT MOBILEINST_HAS_XNNPACK AND MOBILEINST_XNNPACK STREQUAL ON)
  message(FATAL_ERROR "XNNPACK was asked for but can't be built here")
elseif(NOT MOBILEINST_HAS_XNNPACK AND MOBILEINST_XNNPACK STREQUAL AUTO)
  message(WARNING "Building without XNNPACK; mobileinst's own kernels do everything")
elseif(NOT MOBILEINST_HAS_XNNPACK)
  message(STATUS "XNNPACK: left out (MOBILEINST_XNNPACK=OFF)")
endif()
