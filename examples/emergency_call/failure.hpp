#pragma once

#include <stdexcept>

namespace emergency {

/// What the user is told in one line before the program ends.
class failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace emergency
