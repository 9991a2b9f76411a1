#pragma once

/// @file
/// A completion handler on its way into the library; defined in <levada/async.hpp>.

namespace levada::detail {

template <class T>
class completion;

}  // namespace levada::detail
