#pragma once

#include <levada/record.hpp>

namespace levada::cli {

class output;
struct record_format;

/// Writes a record as one line, or as many as its value has where it stands byte for byte.
void write_record(output& out, const record_view& r, const record_format& format);

}  // namespace levada::cli
