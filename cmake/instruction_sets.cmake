# Sources of the kernels for the target processor. Instruction-set flags stay on the files that are named after
# the set, so that everything else runs on any machine of the architecture.

function(mobileinst_kernel_sources out folder)
  string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
  set(files "")
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*/*.cpp)
  list(FILTER files EXCLUDE REGEX "/(avx2|avx512|neon)[a-z0-9_]*\\.cpp$")

  if(processor MATCHES "^(x86_64|amd64)$")
    file(GLOB avx2 CONFIGURE_DEPENDS ${folder}/*/avx2*.cpp)
    file(GLOB avx512 CONFIGURE_DEPENDS ${folder}/*/avx512*.cpp)
    set_source_files_properties(${avx2} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
    set_source_files_properties(${avx512} PROPERTIES
      COMPILE_OPTIONS "-mavx2;-mfma;-mavx512f;-mavx512vl;-mavx512dq;-mavx512bw;-mprefer-vector-width=512")
    list(APPEND files ${avx2} ${avx512})
  elseif(processor MATCHES "^(aarch64|arm64)$")
    file(GLOB neon CONFIGURE_DEPENDS ${folder}/*/neon*.cpp)
    list(APPEND files ${neon})
  endif()
  set(${out} ${files} PARENT_SCOPE)
endfunction()
