# One package test: cmake -Dtest=<name> -Dcase=<case> -Dprefix=<folder> [-Dversion=<wanted>] -Dsettings=<file> -P.
# Each works in a folder of its own, made anew at the start.
cmake_minimum_required(VERSION 3.25)
include(${settings})

set(prefix_dir ${work_dir}/prefix-${prefix})
set(test_dir ${work_dir}/${test})
file(REMOVE_RECURSE ${test_dir})
file(MAKE_DIRECTORY ${test_dir})

# fail(<reason> <output>): the output first, since CMake would reflow it in an error's text.
function(fail reason output)
  message(NOTICE "${output}")
  message(FATAL_ERROR "${reason}")
endfunction()

# run(<command>...): fails with all that the command said unless it succeeds; leaves that in run_output.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " command "${ARGV}")
    fail("${command}\nended with ${status}" "${output}")
  endif()
  set(run_output "${output}" PARENT_SCOPE)
endfunction()

# expect_users_line(<output>): what tests/package/user/main.cpp prints when all of it worked.
function(expect_users_line output)
  set(line "levada ${levada_version} polled 2, replayed 2, received 'close the gate', category levada, all as expected")
  string(FIND "${output}" "${line}" at)
  if(at EQUAL -1)
    fail("The user's program should have printed '${line}'" "${output}")
  endif()
endfunction()

set(configure_user ${CMAKE_COMMAND} -S ${user_dir} -B ${test_dir}/build -G ${generator}
  -DCMAKE_CXX_COMPILER=${compiler} -DCMAKE_CXX_COMPILER_LAUNCHER=${launcher})
set(find_levada -DCMAKE_PREFIX_PATH=${prefix_dir} -Dlevada_version_wanted=${version}
  -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF -DCMAKE_FIND_USE_SYSTEM_PACKAGE_REGISTRY=OFF)

if(case STREQUAL "install")
  file(REMOVE_RECURSE ${prefix_dir})
  run(${CMAKE_COMMAND} --install ${build_dir} --prefix ${prefix_dir})
  if(has_cli)
    run(${prefix_dir}/${bindir}/levada --version)
    if(NOT run_output MATCHES "${levada_version}")
      fail("The installed levada --version does not name ${levada_version}" "${run_output}")
    endif()
  endif()

elseif(case STREQUAL "find_package")
  run(${configure_user} ${find_levada} -DCMAKE_BUILD_TYPE=Debug)
  run(${CMAKE_COMMAND} --build ${test_dir}/build --target run)
  expect_users_line("${run_output}")
  file(STRINGS ${test_dir}/build/CMakeCache.txt found REGEX "^levada_DIR:")
  if(NOT found STREQUAL "levada_DIR:PATH=${prefix_dir}/${libdir}/cmake/levada")
    message(FATAL_ERROR "find_package found another levada: ${found}")
  endif()

elseif(case STREQUAL "refused_version")
  execute_process(COMMAND ${configure_user} ${find_levada}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(status EQUAL 0)
    message(FATAL_ERROR "find_package(levada ${version}) accepted version ${levada_version}")
  endif()
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(NOT output MATCHES "compatible with requested version \"${version}\"" OR
     NOT output MATCHES "levadaConfig.cmake, version: ${levada_version}")
    fail("find_package(levada ${version}) failed for another reason" "${output}")
  endif()

elseif(case STREQUAL "pkg_config")
  set(ENV{PKG_CONFIG_PATH} ${prefix_dir}/${libdir}/pkgconfig)
  run(${pkg_config} --modversion levada)
  string(STRIP "${run_output}" found_version)
  if(NOT found_version STREQUAL levada_version)
    message(FATAL_ERROR "pkg-config knows version ${found_version} of levada, not ${levada_version}")
  endif()
  run(${pkg_config} --cflags --libs levada)
  separate_arguments(flags UNIX_COMMAND "${run_output}")
  # The flag goes by way of the folder of the .pc file.
  set(include_dir ${flags})
  list(FILTER include_dir INCLUDE REGEX "^-I")
  list(GET include_dir 0 include_dir)
  string(REGEX REPLACE "^-I" "" include_dir "${include_dir}")
  file(REAL_PATH "${include_dir}" include_dir)
  if(NOT include_dir STREQUAL "${prefix_dir}/${includedir}")
    message(FATAL_ERROR "pkg-config points to ${include_dir}, not to ${prefix_dir}/${includedir}")
  endif()
  run(${compiler} -std=c++20 ${user_dir}/main.cpp -o ${test_dir}/user ${flags})
  run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${prefix_dir}/${libdir} ${test_dir}/user)
  expect_users_line("${run_output}")

elseif(case STREQUAL "fetch")
  # What is proved here needs no optimisation, and a build in a few large pieces, as a user may ask for, will do: one
  # file by one would take minutes.
  if(fetched STREQUAL "Shared")
    set(shared ON)
  else()
    set(shared OFF)
  endif()
  file(REMOVE_RECURSE ${prefix_dir})
  run(${configure_user} -Dfetch_levada_from=${source_dir} -DBUILD_SHARED_LIBS=${shared} -DLEVADA_INSTALL=ON
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12)
  run(${CMAKE_COMMAND} --build ${test_dir}/build --target run --parallel 2)
  expect_users_line("${run_output}")
  run(${CMAKE_COMMAND} --install ${test_dir}/build --prefix ${prefix_dir})

else()
  message(FATAL_ERROR "no case '${case}'")
endif()
