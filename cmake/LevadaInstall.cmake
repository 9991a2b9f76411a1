# Install rules: library, headers, CMake package, pkg-config file, the levada command.
include(CMakePackageConfigHelpers)

set(levada_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/levada)
install(TARGETS levada EXPORT levadaTargets FILE_SET HEADERS)
if(LEVADA_BUILD_CLI)
  # The command finds a shared library wherever both are installed.
  file(RELATIVE_PATH levada_bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(levada_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${levada_bin_to_lib}")
  install(TARGETS levada_cli)
endif()
install(EXPORT levadaTargets NAMESPACE levada:: DESTINATION ${levada_config_dir})
configure_package_config_file(cmake/levadaConfig.cmake.in ${PROJECT_BINARY_DIR}/levadaConfig.cmake
  INSTALL_DESTINATION ${levada_config_dir})
# Before 1.0 every minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/levadaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/levadaConfig.cmake ${PROJECT_BINARY_DIR}/levadaConfigVersion.cmake
  cmake/FindLMDB.cmake cmake/FindxxHash.cmake cmake/FindLZ4.cmake cmake/Findzstd.cmake DESTINATION ${levada_config_dir})

# The pkg-config file finds its prefix from where it lies, so that `cmake --install --prefix` may choose any.
set(levada_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(levada_pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH levada_pc_to_prefix /prefix/${levada_pc_dir} /prefix)
  set(levada_pc_prefix "\${pcfiledir}/${levada_pc_to_prefix}")
  string(REGEX REPLACE "/$" "" levada_pc_prefix "${levada_pc_prefix}")
endif()
cmake_path(APPEND levada_pc_libdir "\${prefix}" ${CMAKE_INSTALL_LIBDIR})
cmake_path(APPEND levada_pc_includedir "\${prefix}" ${CMAKE_INSTALL_INCLUDEDIR})
# Users of a static archive link its private libraries themselves; of a shared one they need not even have them.
set(levada_pc_requires)
set(levada_pc_libs)
if(NOT BUILD_SHARED_LIBS)
  set(levada_pc_requires "capnp spdlog fmt lmdb libxxhash liblz4 libzstd")
  set(levada_pc_libs "-lboost_json -pthread")  # Boost has no pkg-config files
endif()
configure_file(cmake/levada.pc.in ${PROJECT_BINARY_DIR}/levada.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/levada.pc DESTINATION ${levada_pc_dir})
