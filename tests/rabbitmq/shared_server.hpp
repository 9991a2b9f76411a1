#pragma once

#include <gtest/gtest.h>

#include <rabbitmq/rabbit_server.hpp>

namespace levada::rabbit {

/// The server of this program, started when it is first asked for and ended after the last test.
[[nodiscard]] rabbit_server& shared_server();

/// A case that needs a server. Skipped, with the reason, where there can be none.
class with_server : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = reason_for_no_server()) GTEST_SKIP() << *reason;
  }
};

}  // namespace levada::rabbit
