#pragma once

#include <stdexcept>

namespace example {

/// What the user is told in one line before the program ends.
class failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command line is not understood.
class usage_error : public failure {
 public:
  using failure::failure;
};

}  // namespace example
