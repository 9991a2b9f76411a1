#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <utility>

#include <levada/error.hpp>
#include <levada/options.hpp>

namespace levada {

/// So that a failed expectation prints the code and the message.
void PrintTo(const error& e, std::ostream* out);

/// So that tests with these parameters have readable names.
void PrintTo(compression how, std::ostream* out);
void PrintTo(exchange_type type, std::ostream* out);

/// Found by argument-dependent lookup before Boost's own, which would print the value too.
template <class T>
void PrintTo(const boost::system::result<T, error>& r, std::ostream* out) {
  if (r) {
    *out << "a value";
  } else {
    PrintTo(r.error(), out);
  }
}

}  // namespace levada

namespace levada::test {

/// Takes the value out of a result, or fails the test by throwing with the error's message.
template <class T>
T ok(result<T>&& r) {
  return std::move(r).value();
}
inline void ok(const result<void>& r) {
  r.value();
}

/// Matches a result that failed with `code`: `EXPECT_THAT(bus.topic("x"), fails_with(errc::unknown_topic))`.
MATCHER_P(fails_with, code, "fails with the given errc") {
  if (arg.has_value()) {
    *result_listener << "which succeeded";
    return false;
  }
  *result_listener << "which failed: " << arg.error().message();
  return arg.error().code() == code;
}

/// The same, where the message also holds `text`.
MATCHER_P2(fails_telling, code, text, "fails with the given errc and says the given text") {
  if (arg.has_value()) {
    *result_listener << "which succeeded";
    return false;
  }
  *result_listener << "which failed: " << arg.error().message();
  return arg.error().code() == code && arg.error().message().find(text) != std::string::npos;
}

/// Matches a result that succeeded.
MATCHER(succeeds, "succeeds") {
  if (arg.has_value()) return true;
  *result_listener << "which failed: " << arg.error().message();
  return false;
}

}  // namespace levada::test
