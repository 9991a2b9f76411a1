#include <rabbitmq/history.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>

#include <rabbitmq/broker.hpp>

namespace levada::rabbit {
namespace {

constexpr std::size_t length = 2'000;

std::string text_of(const history& h) {
  std::string text;
  for (const operation& op : h) text += to_text(op) + '\n';
  return text;
}

/// FNV-1a.
std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

class Histories : public ::testing::TestWithParam<theme> {};

TEST_P(Histories, AreOfTheLengthAskedForAndDifferBySeed) {
  EXPECT_EQ(make_history(1, GetParam(), length).size(), length);
  EXPECT_EQ(make_history(1, GetParam(), 3).size(), 3U);
  EXPECT_EQ(text_of(make_history(1, GetParam(), length)), text_of(make_history(1, GetParam(), length)));
  EXPECT_NE(text_of(make_history(1, GetParam(), length)), text_of(make_history(2, GetParam(), length)));
}

TEST_P(Histories, HoldEveryKindOfOperation) {
  std::set<std::size_t> kinds;
  for (const operation& op : make_history(1, GetParam(), length)) kinds.insert(op.index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<operation>);
}

TEST_P(Histories, NameEachBodyOnce) {
  std::set<std::string> bodies;
  for (const operation& op : make_history(3, GetParam(), length)) {
    if (const auto* p = std::get_if<publish>(&op)) {
      EXPECT_TRUE(bodies.insert(p->body).second) << p->body;
    }
  }
}

TEST_P(Histories, GiveEachQueueOneSenderOfDeadLetters) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const history h = make_history(seed, GetParam(), length);
    std::map<std::string, std::string> queue_of_exchange;
    for (const operation& op : h) {
      if (const auto* b = std::get_if<bind>(&op); b != nullptr && b->source[0] == 'd') {
        queue_of_exchange[b->source] = b->target;
      }
    }
    std::map<std::string, std::string> sender_of;
    for (const operation& op : h) {
      const auto* q = std::get_if<declare_queue>(&op);
      if (q == nullptr || !q->arguments.dead_letter_exchange) continue;
      const std::string& exchange = *q->arguments.dead_letter_exchange;
      const std::string target =
          exchange.empty() ? q->arguments.dead_letter_key.value() : queue_of_exchange.at(exchange);
      EXPECT_EQ(sender_of.try_emplace(target, q->name).first->second, q->name) << to_text(op);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Themes, Histories,
                         ::testing::Values(theme::routing, theme::dead_letters, theme::mixed),
                         [](const auto& of) {
                           std::string name = to_text(of.param);
                           if (const auto space = name.find(' '); space != std::string::npos) {
                             name[space] = '_';
                           }
                           return name;
                         });

// A seed in a report of a failure must mean the same history everywhere.
TEST(History, IsTheSameOnEveryPlatform) {
  EXPECT_EQ(hash_of(text_of(make_history(1, theme::routing, length))), 0xd669f740aaa11410U);
  EXPECT_EQ(hash_of(text_of(make_history(1, theme::dead_letters, length))), 0xf3f756a1a01412ebU);
  EXPECT_EQ(hash_of(text_of(make_history(1, theme::mixed, length))), 0x8c27bb93f5fda74fU);
}

TEST(History, OfDeadLettersRoutesEachKeyOfAnExchangeToOneQueue) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::map<std::string, std::string> queue_of;
    for (const operation& op : make_history(seed, theme::dead_letters, length)) {
      const auto* b = std::get_if<bind>(&op);
      if (b == nullptr) continue;
      EXPECT_FALSE(b->to_exchange);
      const auto [known, is_new] = queue_of.try_emplace(b->source + '/' + b->key, b->target);
      EXPECT_EQ(known->second, b->target) << to_text(op);
    }
  }
}

TEST(History, OfTheMixedThemeBindsNoQueueThatTakesDeadLetters) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const operation& op : make_history(seed, theme::mixed, length)) {
      const auto* b = std::get_if<bind>(&op);
      if (b == nullptr || b->source[0] == 'd') continue;
      EXPECT_THAT(b->target, ::testing::AnyOf("q0", "q1", "q2", ::testing::StartsWith("e"))) << to_text(op);
    }
  }
}

TEST(Operations, AreReadable) {
  EXPECT_EQ(to_text(declare_exchange{"e", exchange_kind::topic, "other", true, true}),
            "declare exchange e topic alternate='other' auto-delete internal");
  queue_arguments a;
  a.length_max = 3;
  a.when_full = overflow::reject_publish_dlx;
  a.expire_at_once = true;
  a.dead_letter_exchange = "";
  a.dead_letter_key = "k";
  EXPECT_EQ(to_text(declare_queue{"q", a, false}),
            "declare queue q max-length=3 overflow=reject-publish-dlx message-ttl=0 dlx='' dlx-key='k'");
  EXPECT_EQ(to_text(bind{"e", "q", false, "a.*", {{"x-match", std::string{"any"}}, {"h", 1.0}}}),
            "bind 'e' -> queue q key 'a.*' arguments {x-match=\"any\", h=1.00000}");
  EXPECT_EQ(to_text(publish{"e", "k", {{"h", true}}, std::uint8_t{4}, true, true, "m1"}),
            "publish 'm1' to 'e' key 'k' headers {h=true} priority 4 expiration 0 mandatory");
  EXPECT_EQ(to_text(settle{"q", 2, settlement::nack, true, true}),
            "nack delivery 2 of q and all before requeue");
}

TEST(Transcripts, DifferAtTheFirstStepThatDiffers) {
  const answer fine;
  answer missing;
  missing.result = outcome::not_found;
  const transcript left{{purge{"a"}, fine}, {purge{"b"}, fine}};
  const transcript right{{purge{"a"}, fine}, {purge{"b"}, missing}};
  EXPECT_EQ(first_difference(left, left), std::nullopt);
  EXPECT_EQ(first_difference(left, right),
            "     0 purge a\n         ok\n     1 purge b\n  left:  ok\n  right: not found\n");
}

}  // namespace
}  // namespace levada::rabbit
