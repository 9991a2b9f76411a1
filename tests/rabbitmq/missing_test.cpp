#include <gtest/gtest.h>

TEST(Rabbitmq, IsComparedWith) {
  GTEST_SKIP() << LEVADA_RABBITMQ_MISSING;
}
