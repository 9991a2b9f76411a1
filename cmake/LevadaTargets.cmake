# What every target of the project itself gets. Nothing here reaches an exported target's interface.

# levada_own_code(<target>): warnings, standard, no extensions.
function(levada_own_code target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  if(LEVADA_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# levada_program(<target> SOURCES <file>... [LIBRARIES <lib>...]): a program on the public interface.
function(levada_program target)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE levada::levada ${arg_LIBRARIES})
  levada_own_code(${target})
endfunction()
