#include "cli/record_output.hpp"

#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"

namespace levada::cli {

void write_record(output& out, const record_view& r, const record_format& format) {
  if (format.json) return write_json(out, r);
  if (format.topics) {
    out.write(r.topic());
    out.write('\t');
  }
  if (format.keys && r.has_key()) {
    out.write(r.key());
    out.write(format.key_separator);
  }
  out.write(r.value());
  out.write('\n');
}

}  // namespace levada::cli
