# Install rules: library, headers, CMake package, pkg-config file, the levada command.
include(CMakePackageConfigHelpers)

set(levada_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/levada)
install(TARGETS levada EXPORT levadaTargets FILE_SET HEADERS)
if(LEVADA_BUILD_CLI)
  install(TARGETS levada_cli)
endif()
install(EXPORT levadaTargets NAMESPACE levada:: DESTINATION ${levada_config_dir})
configure_package_config_file(cmake/levadaConfig.cmake.in ${PROJECT_BINARY_DIR}/levadaConfig.cmake
  INSTALL_DESTINATION ${levada_config_dir})
# Before 1.0 every minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/levadaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/levadaConfig.cmake ${PROJECT_BINARY_DIR}/levadaConfigVersion.cmake
  cmake/FindLMDB.cmake cmake/FindxxHash.cmake DESTINATION ${levada_config_dir})
configure_file(cmake/levada.pc.in ${PROJECT_BINARY_DIR}/levada.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/levada.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
