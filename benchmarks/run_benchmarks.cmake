# Runs the benchmarks in <directory> and leaves their figures there as JSON, marked with the commit of <source_dir>.
execute_process(COMMAND git describe --always --dirty --abbrev=12
  WORKING_DIRECTORY ${source_dir} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
set(json ${directory}/levada_bench.json)
execute_process(
  COMMAND ${program} --dir ${directory} --benchmark_out=${json} --benchmark_out_format=json
    --benchmark_context=commit=${commit}
  COMMAND_ERROR_IS_FATAL ANY)
message(STATUS "All figures of commit ${commit}: ${json}")
