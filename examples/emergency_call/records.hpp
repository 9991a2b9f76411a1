#pragma once

#include <levada/record.hpp>

#include "acceptance.hpp"
#include "call.hpp"

namespace emergency {

// How calls and acceptances stand in the topics: a line of CSV as the value, so that `levada tail` shows it
// readably, the caller's line as the key, so that calls of one line keep their order, and as headers what one
// may want to know without reading the value. Reading throws `failure` for a record that is of another form.

[[nodiscard]] levada::record to_record(const call& c);
[[nodiscard]] call call_in(const levada::record_view& r);

[[nodiscard]] levada::record to_record(const acceptance& a);
[[nodiscard]] acceptance acceptance_in(const levada::record_view& r);

/// The number of the call that the record, of either form, is about.
[[nodiscard]] call_id call_id_in(const levada::record_view& r);

}  // namespace emergency
