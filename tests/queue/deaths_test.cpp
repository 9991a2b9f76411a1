#include "queue/deaths.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <limits>
#include <log/record_testing.hpp>
#include <random>
#include <storage/storage_testing.hpp>
#include <string>
#include <utility>
#include <vector>

#include "log/record_codec.hpp"
#include "storage/row.hpp"

namespace levada {

void PrintTo(const death& d, std::ostream* out) {
  *out << d.queue << " " << to_text(d.reason) << " x" << d.count << " at "
       << d.time.time_since_epoch().count() << " from '" << d.exchange << "' with '" << d.routing_key << "'";
  if (d.original_expiration) *out << ", expiration " << d.original_expiration->count();
}

}  // namespace levada

namespace levada::queue::test {
namespace {

using namespace std::chrono_literals;
using levada::test::hex;
using levada::test::ok;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum dead_letter_reason;

constexpr timestamp at_1{1s};
constexpr timestamp at_2{2s};
constexpr timestamp at_3{3s};

/// A message as queues hold it.
class message {
 public:
  explicit message(const record& r) : batch_{batch_with(r)} {}
  [[nodiscard]] const record_view& view() const { return *at_; }
  [[nodiscard]] message after(const death_note& note) const {
    return message{record_after_death(view(), note)};
  }
  [[nodiscard]] std::vector<death> deaths() const { return deaths_of(view()); }
  /// The header's text; "" where there is none.
  [[nodiscard]] std::string text(std::string_view header) const {
    const auto found = view().header(header);
    return found ? std::string{std::get<std::string_view>(*found)} : std::string{};
  }
  [[nodiscard]] std::vector<std::string> header_names() const {
    std::vector<std::string> names;
    for (const auto& h : view().headers()) names.emplace_back(h.name);
    return names;
  }

 private:
  static record_batch batch_with(const record& r) {
    const std::string extras = ok(log::encode_extras("key", r));
    const auto source = ok(log::source_of(r, extras));
    std::vector<std::byte> bytes(detail::padded(source.size()));
    log::encode_record(source, 0, bytes.data());
    return log::test::batch_of(bytes);
  }

  record_batch batch_;
  record_batch::iterator at_ = batch_.begin();
};

death_note died(std::string_view queue, dead_letter_reason reason, timestamp time = at_1) {
  return {queue, reason, time, "exchange", "key"};
}

/// A queue and a reason: a kind of death.
using kind = std::pair<std::string, dead_letter_reason>;

/// Deaths of these kinds, once each.
std::vector<death> deaths_by(const std::vector<kind>& kinds) {
  std::vector<death> deaths;
  for (const auto& k : kinds) deaths.push_back({k.first, k.second, 1, at_1, "exchange", "key", {}});
  return deaths;
}

/// The bytes in memory of their own size, so that a sanitizer sees a read beyond them.
std::optional<std::vector<death>> decoded(const binary& bytes) {
  const std::vector<std::byte> exact(bytes.begin(), bytes.end());
  return decode_deaths(exact);
}

/// These bytes behind a version and a checksum that are right.
binary sealed(binary deaths) {
  binary all = encode_deaths({});
  const auto checksum = static_cast<std::uint32_t>(storage::records_hash(deaths));
  std::memcpy(all.data() + 1, &checksum, sizeof checksum);
  all.insert(all.end(), deaths.begin(), deaths.end());
  return all;
}

// What a death writes down. Unless told otherwise, the outcomes are those of RabbitMQ 3.10.8.

TEST(Deaths, AreNoneOfAMessageThatNeverDied) {
  EXPECT_THAT(message{record{"v"}}.deaths(), IsEmpty());
  EXPECT_THAT(deaths_of(record_view{}), IsEmpty());
}

TEST(Deaths, NameTheirReasonsAsRabbitDoes) {
  EXPECT_EQ(to_text(rejected), "rejected");
  EXPECT_EQ(to_text(expired), "expired");
  EXPECT_EQ(to_text(maxlen), "maxlen");
  EXPECT_EQ(to_text(delivery_limit), "delivery_limit");
  EXPECT_EQ(to_text(static_cast<dead_letter_reason>(0)), "");
  EXPECT_EQ(to_text(static_cast<dead_letter_reason>(5)), "");
}

TEST(Deaths, TellWhereAndWhyAMessageDiedFirst) {
  const auto dead = message{record{"v"}.expiration(60s)}.after({"q", expired, at_1, "orders", "order.new"});
  EXPECT_THAT(dead.deaths(), ElementsAre(death{"q", expired, 1, at_1, "orders", "order.new", 60s}));
  EXPECT_EQ(dead.text("x-first-death-queue"), "q");
  EXPECT_EQ(dead.text("x-first-death-reason"), "expired");
  EXPECT_EQ(dead.text("x-first-death-exchange"), "orders");
  EXPECT_EQ(dead.view().properties().expiration, std::nullopt);
}

TEST(Deaths, HaveNoOriginalExpirationWhereThereWasNone) {
  EXPECT_EQ(message{record{"v"}}.after(died("q", maxlen)).deaths().at(0).original_expiration, std::nullopt);
  EXPECT_EQ(message{record{"v"}.expiration(0ms)}.after(died("q", expired)).deaths().at(0).original_expiration,
            0ms);
}

TEST(Deaths, CountUpWhereQueueAndReasonAreTheSame) {
  const auto twice = message{record{"v"}.expiration(60s)}
                         .after({"q", expired, at_1, "first", "key.1"})
                         .after({"q", expired, at_2, "second", "key.2"});
  EXPECT_THAT(twice.deaths(), ElementsAre(death{"q", expired, 2, at_1, "first", "key.1", 60s}))
      << "what is told of the first time stays";
}

TEST(Deaths, AreAnEntryEachWhereQueueOrReasonDiffer) {
  const auto dead = message{record{"v"}}
                        .after({"q", expired, at_1, "e1", "k1"})
                        .after({"q", rejected, at_2, "e2", "k2"})
                        .after({"r", rejected, at_3, "e3", "k3"});
  EXPECT_THAT(dead.deaths(), ElementsAre(death{"r", rejected, 1, at_3, "e3", "k3", {}},
                                         death{"q", rejected, 1, at_2, "e2", "k2", {}},
                                         death{"q", expired, 1, at_1, "e1", "k1", {}}));
  EXPECT_EQ(dead.text("x-first-death-queue"), "q");
  EXPECT_EQ(dead.text("x-first-death-reason"), "expired");
  EXPECT_EQ(dead.text("x-first-death-exchange"), "e1");
}

// A host takes a dead-lettered message and publishes it again, with its headers and a new expiration.
TEST(Deaths, RememberAnExpirationWithTheFirstDeathOfAKindAlone) {
  record again{message{record{"v"}.expiration(60s)}.after(died("q", expired)).view()};
  again.expiration(77ms);
  const auto same = message{again}.after(died("q", expired, at_2));
  EXPECT_THAT(same.deaths(), ElementsAre(death{"q", expired, 2, at_1, "exchange", "key", 60s}));
  EXPECT_EQ(same.view().properties().expiration, std::nullopt) << "it is lost all the same";
  const auto other = message{again}.after(died("r", maxlen, at_2));
  EXPECT_THAT(other.deaths(), ElementsAre(death{"r", maxlen, 1, at_2, "exchange", "key", 77ms},
                                          death{"q", expired, 1, at_1, "exchange", "key", 60s}));
  record late{message{record{"v"}}.after(died("q", expired)).view()};
  late.expiration(77ms);
  EXPECT_EQ(message{late}.after(died("q", expired)).deaths().at(0).original_expiration, std::nullopt);
}

struct history_case {
  const char* name;
  std::vector<kind> died;  // in this order
  std::vector<std::pair<kind, std::uint64_t>> remembered;
};
void PrintTo(const history_case& c, std::ostream* out) {
  *out << c.name;
}

class DeathHistory : public ::testing::TestWithParam<history_case> {};

TEST_P(DeathHistory, IsKeptTheNewestFirst) {
  message m{record{"v"}};
  for (const auto& k : GetParam().died) m = m.after(died(k.first, k.second));
  std::vector<std::pair<kind, std::uint64_t>> seen;
  for (const auto& d : m.deaths()) seen.push_back({{d.queue, d.reason}, d.count});
  EXPECT_EQ(seen, GetParam().remembered);
  EXPECT_EQ(m.text("x-first-death-queue"), GetParam().died.front().first);
  EXPECT_EQ(m.text("x-first-death-reason"), to_text(GetParam().died.front().second));
}

INSTANTIATE_TEST_SUITE_P(
    , DeathHistory,
    ::testing::Values(
        history_case{"Once", {{"a", expired}}, {{{"a", expired}, 1}}},
        history_case{
            "OneKindAgainAndAgain", {{"a", maxlen}, {"a", maxlen}, {"a", maxlen}}, {{{"a", maxlen}, 3}}},
        history_case{"OneQueueOfTwoReasons",
                     {{"a", rejected}, {"a", expired}},
                     {{{"a", expired}, 1}, {{"a", rejected}, 1}}},
        history_case{"OneReasonInTwoQueues",
                     {{"a", expired}, {"b", expired}},
                     {{{"b", expired}, 1}, {{"a", expired}, 1}}},
        history_case{"BackToTheFront",
                     {{"a", expired}, {"b", expired}, {"a", expired}},
                     {{{"a", expired}, 2}, {{"b", expired}, 1}}},
        history_case{"WorkAndWaitingQueueInTurn",
                     {{"work", rejected}, {"wait", expired}, {"work", rejected}, {"wait", expired}},
                     {{{"wait", expired}, 2}, {{"work", rejected}, 2}}},
        // Deliberately not RabbitMQ 3.10.8's order, which is e, d, a, c, b.
        history_case{"OfFiveKinds",
                     {{"a", rejected},
                      {"b", expired},
                      {"c", delivery_limit},
                      {"d", expired},
                      {"b", expired},
                      {"e", maxlen}},
                     {{{"e", maxlen}, 1},
                      {{"b", expired}, 2},
                      {{"d", expired}, 1},
                      {{"c", delivery_limit}, 1},
                      {{"a", rejected}, 1}}}),
    [](const auto& tested) { return std::string{tested.param.name}; });

TEST(Deaths, LeaveTheRestOfTheMessageAlone) {
  record r{"key", "value"};
  r.content_type("ct").message_id("mi").correlation_id("ci").reply_to("rt").type("ty").priority(7);
  r.expiration(5s);
  r.header("none", {})
      .header("bool", true)
      .header("twice", std::int64_t{1})
      .header("twice", 2.0)
      .header("text", std::string{"t"})
      .header("raw", binary{std::byte{0}, std::byte{255}})
      .header("time", at_3);
  const message m{r};
  const record dead = record_after_death(m.view(), died("q", expired));
  EXPECT_EQ(dead.key(), "key");
  EXPECT_EQ(dead.value(), "value");
  EXPECT_EQ(dead.properties().content_type, "ct");
  EXPECT_EQ(dead.properties().message_id, "mi");
  EXPECT_EQ(dead.properties().correlation_id, "ci");
  EXPECT_EQ(dead.properties().reply_to, "rt");
  EXPECT_EQ(dead.properties().type, "ty");
  EXPECT_EQ(dead.properties().priority, std::uint8_t{7});
  EXPECT_EQ(dead.properties().expiration, std::nullopt);
  EXPECT_EQ(dead.time(), std::nullopt) << "it is published anew";
  ASSERT_EQ(dead.headers().size(), r.headers().size() + 4);
  for (std::size_t i = 0; i < r.headers().size(); ++i) {
    EXPECT_EQ(dead.headers()[i].name, r.headers()[i].name);
    EXPECT_EQ(dead.headers()[i].value, r.headers()[i].value) << r.headers()[i].name;
  }
}

TEST(Deaths, TellNoKeyFromAnEmptyOneAndNoValueFromAnEmptyOne) {
  const auto after = [](const record& r) {
    return record_after_death(message{r}.view(), died("q", expired));
  };
  EXPECT_EQ(after(record{""}).key(), std::nullopt);
  EXPECT_EQ(after(record{""}).value(), "");
  EXPECT_EQ(after(record{"", "v"}).key(), "");
  EXPECT_EQ(after(record::tombstone("k")).key(), "k");
  EXPECT_EQ(after(record::tombstone("k")).value(), std::nullopt);
}

TEST(Deaths, TakeTheirHeadersFromHostsAtTheFirst) {
  record r{"v"};
  r.header("x-first-death-queue", std::string{"mine"})
      .header("x-first-death-reason", true)
      .header("x-death", std::string{"mine"})
      .header("x-first-death-exchange", {})
      .header("x-first-death-queue", std::string{"mine too"})
      .header("x-first-deaths", std::string{"not reserved"})
      .header("x-death", std::int64_t{7});
  const message m{r};
  EXPECT_THAT(m.deaths(), IsEmpty());
  const auto dead = m.after(died("q", delivery_limit));
  EXPECT_THAT(dead.header_names(), ElementsAre("x-first-deaths", "x-first-death-queue",
                                               "x-first-death-reason", "x-first-death-exchange", "x-death"));
  EXPECT_EQ(dead.text("x-first-death-queue"), "q");
  EXPECT_EQ(dead.text("x-first-death-reason"), "delivery_limit");
  EXPECT_EQ(dead.text("x-first-death-exchange"), "exchange");
  EXPECT_THAT(dead.deaths(), ElementsAre(death{"q", delivery_limit, 1, at_1, "exchange", "key", {}}));
  EXPECT_THAT(dead.after(died("r", maxlen)).header_names(),
              ElementsAre("x-first-deaths", "x-first-death-queue", "x-first-death-reason",
                          "x-first-death-exchange", "x-death"))
      << "later deaths add no header";
}

// Some clients publish a message again without all of its headers.
TEST(Deaths, DoNotMakeUpTheFirstAfterwards) {
  record r{"v"};
  r.header("x-death", encode_deaths(deaths_by({{"a", expired}})));
  EXPECT_THAT(message{r}.after(died("b", expired)).header_names(), ElementsAre("x-death"));
}

TEST(Deaths, OfBytesThatAreNoneBeginAnew) {
  binary damaged = encode_deaths(deaths_by({{"a", expired}}));
  damaged.back() ^= std::byte{1};
  for (const header_value& value : std::vector<header_value>{
           {}, true, std::int64_t{1}, 1.0, std::string{"\1"}, binary{}, damaged, at_1, encode_deaths({})}) {
    record r{"v"};
    r.header("x-death", value).header("x-first-death-queue", std::string{"mine"});
    const message m{r};
    EXPECT_THAT(m.deaths(), IsEmpty()) << value.index();
    const auto dead = m.after(died("q", rejected));
    EXPECT_THAT(dead.deaths(), ElementsAre(death{"q", rejected, 1, at_1, "exchange", "key", {}}));
    EXPECT_EQ(dead.text("x-first-death-queue"), "q");
  }
}

TEST(Deaths, DoNotCountBeyondTheirLargestNumber) {
  auto deaths = deaths_by({{"q", expired}});
  deaths[0].count = std::numeric_limits<std::uint64_t>::max();
  record r{"v"};
  r.header("x-death", encode_deaths(deaths));
  EXPECT_EQ(message{r}.after(died("q", expired)).deaths(), deaths);
}

// Which deaths make a cycle.

struct cycle_case {
  const char* name;
  std::vector<kind> deaths;  // the newest first
  const char* target;
  dead_letter_reason now;
  bool cycle;
};
void PrintTo(const cycle_case& c, std::ostream* out) {
  *out << c.name;
}

class DeathCycle : public ::testing::TestWithParam<cycle_case> {};

TEST_P(DeathCycle, IsOneWhereNobodyRejected) {
  const auto& c = GetParam();
  EXPECT_EQ(is_cycle(deaths_by(c.deaths), c.target, c.now), c.cycle);
}

INSTANTIATE_TEST_SUITE_P(
    , DeathCycle,
    ::testing::Values(
        cycle_case{"NoDeaths", {}, "a", expired, false},
        cycle_case{"AnotherQueue", {{"a", expired}}, "b", expired, false},
        cycle_case{"ToItself", {{"a", expired}}, "a", expired, true},
        cycle_case{"ToItselfWhenFull", {{"a", maxlen}}, "a", maxlen, true},
        cycle_case{"ToItselfAtTheDeliveryLimit", {{"a", delivery_limit}}, "a", delivery_limit, true},
        cycle_case{"ToItselfWhenRejected", {{"a", rejected}}, "a", rejected, false},
        cycle_case{"RejectedNowThoughExpiredBefore", {{"a", expired}}, "a", rejected, false},
        cycle_case{"RejectedNowAndAutomaticBefore", {{"a", rejected}, {"b", expired}}, "b", rejected, false},
        cycle_case{"ThroughTwoQueues", {{"b", expired}, {"a", expired}}, "a", expired, true},
        cycle_case{
            "OfMixedReasons", {{"c", maxlen}, {"b", delivery_limit}, {"a", expired}}, "a", maxlen, true},
        cycle_case{"WaitingQueueBackToWorkThatRejected",
                   {{"wait", expired}, {"work", rejected}},
                   "work",
                   expired,
                   false},
        cycle_case{"WaitingQueueToItselfAfterWorkRejected",
                   {{"wait", expired}, {"work", rejected}},
                   "wait",
                   expired,
                   true},
        cycle_case{"RejectedBetween", {{"c", expired}, {"b", rejected}, {"a", expired}}, "a", expired, false},
        cycle_case{"RejectedBefore", {{"c", expired}, {"b", expired}, {"a", rejected}}, "b", expired, true},
        cycle_case{"TheNewestOfTheQueueCounts", {{"a", expired}, {"a", rejected}}, "a", expired, true},
        cycle_case{"TheNewestOfTheQueueWasRejected", {{"a", rejected}, {"a", expired}}, "a", expired, false},
        cycle_case{"RejectedAndTargetUnknown", {{"b", expired}, {"a", rejected}}, "c", expired, false}),
    [](const auto& tested) { return std::string{tested.param.name}; });

TEST(Deaths, InAWaitingQueueAndBackAreNoCycleForever) {
  message m{record{"v"}};
  for (int i = 0; i < 10; ++i) {
    m = m.after(died("work", rejected));
    ASSERT_FALSE(is_cycle(m.deaths(), "wait", rejected));
    m = m.after(died("wait", expired));
    ASSERT_FALSE(is_cycle(m.deaths(), "work", expired));
  }
  EXPECT_EQ(m.deaths().at(0).count, 10U);
  EXPECT_EQ(m.deaths().at(1).count, 10U);
}

// The bytes below are what stores on disk hold: they never change.
TEST(DeathsCodec, WritesTheBytesOfTheFormat) {
  EXPECT_EQ(hex(encode_deaths({})), "01c294d338");
  const std::vector<death> deaths{{"qu", expired, 258, timestamp{1us}, "", "k.1", 60s},
                                  {"r", delivery_limit, 1, timestamp{-2us}, "x", "", {}}};
  EXPECT_EQ(hex(encode_deaths(deaths)),
            "01"        // version
            "d6af1fc3"  // checksum
            "02"
            "01"
            "0201000000000000"
            "0100000000000000"
            "60ea000000000000"
            "027175"
            "00"
            "036b2e31"
            "04"
            "00"
            "0100000000000000"
            "feffffffffffffff"
            "0172"
            "0178"
            "00");
}

TEST(DeathsCodec, ReadsBackRandomDeaths) {
  constexpr std::uint32_t seed = 20'261'122;
  SCOPED_TRACE(seed);
  std::mt19937_64 random{seed};
  const auto text = [&random] {
    constexpr std::array<std::size_t, 6> sizes{0, 1, 2, 30, 254, 255};
    std::string all(sizes.at(random() % sizes.size()), '\0');
    for (char& c : all) c = static_cast<char>(random());
    return all;
  };
  const auto number = [&random] { return static_cast<std::int64_t>(random() >> (random() % 64)); };
  for (int i = 0; i < 2000; ++i) {
    std::vector<death> deaths(random() % 20);
    for (death& d : deaths) {
      d.queue = text();
      d.reason = static_cast<dead_letter_reason>(1 + random() % 4);
      d.count = 1 + static_cast<std::uint64_t>(number()) / 2;
      d.time = timestamp{std::chrono::microseconds{number()}};
      d.exchange = text();
      d.routing_key = text();
      if (random() % 2 == 0) d.original_expiration = std::chrono::milliseconds{number()};
    }
    ASSERT_EQ(decoded(encode_deaths(deaths)), deaths);
  }
}

TEST(DeathsCodec, TakesNamesOfFullLengthAndExtremeNumbers) {
  const std::string longest(255, 'x');
  using limits = std::numeric_limits<std::int64_t>;
  const std::vector<death> deaths{
      {longest, maxlen, std::numeric_limits<std::uint64_t>::max(), timestamp::max(), longest, longest,
       std::chrono::milliseconds{limits::max()}},
      {"", rejected, 1, timestamp::min(), "", "", std::chrono::milliseconds{limits::min()}}};
  EXPECT_EQ(decoded(encode_deaths(deaths)), deaths);
  const auto dead = message{record{"v"}}.after({longest, maxlen, at_1, longest, longest});
  EXPECT_THAT(dead.deaths(), ElementsAre(death{longest, maxlen, 1, at_1, longest, longest, {}}));
  EXPECT_EQ(dead.text("x-first-death-queue"), longest);
}

std::vector<death> some_deaths() {
  return {{"queue", expired, 3, at_2, "exchange", "routing.key", 5s},
          {std::string(255, 'q'), rejected, 1, at_1, "", "", {}},
          {"", delivery_limit, 1'000'000, at_3, "e", std::string(255, 'k'), 0ms}};
}

TEST(DeathsCodec, TakesNoBytesThatAreCutShort) {
  const binary whole = encode_deaths(some_deaths());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(decoded({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}), std::nullopt)
        << size;
  }
  ASSERT_TRUE(decoded(whole));
}

TEST(DeathsCodec, TakesNoBytesOfWhichOneIsChanged) {
  const binary whole = encode_deaths(some_deaths());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      binary changed = whole;
      changed[at] ^= static_cast<std::byte>(flip);
      ASSERT_EQ(decoded(changed), std::nullopt) << "byte " << at << ", bits " << flip;
    }
  }
  binary longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_EQ(decoded(longer), std::nullopt);
}

TEST(DeathsCodec, TakesNoBytesAtRandom) {
  constexpr std::uint32_t seed = 7;
  std::mt19937 random{seed};
  for (int i = 0; i < 20'000; ++i) {
    binary bytes(random() % 100);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    if (!bytes.empty()) bytes[0] = std::byte{1};
    ASSERT_EQ(decoded(bytes), std::nullopt) << "seed " << seed << ", round " << i;
  }
}

// The checksum is no secret, so a host may come with any content behind a right one.
TEST(DeathsCodec, ChecksWhatStandsBehindARightChecksum) {
  const binary whole = encode_deaths(some_deaths());
  const binary content(whole.begin() + 5, whole.end());
  ASSERT_EQ(sealed(content), whole);
  std::size_t taken = 0;
  for (std::size_t size = 0; size <= content.size(); ++size) {
    taken +=
        decoded(sealed({content.begin(), content.begin() + static_cast<std::ptrdiff_t>(size)})).has_value();
  }
  EXPECT_EQ(taken, 4U) << "none, one, two and three whole deaths";
  for (std::size_t at = 0; at < content.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      binary changed = content;
      changed[at] ^= static_cast<std::byte>(flip);
      const auto deaths = decoded(sealed(changed));
      if (!deaths) continue;
      ASSERT_EQ(encode_deaths(*deaths), sealed(changed)) << "what is taken has one form";
    }
  }
  const auto with = [](std::size_t at, std::uint8_t value) {
    binary changed = encode_deaths(deaths_by({{"q", expired}}));
    changed.erase(changed.begin(), changed.begin() + 5);
    changed[at] = std::byte{value};
    return decoded(sealed(std::move(changed)));
  };
  EXPECT_TRUE(with(0, 4));
  EXPECT_FALSE(with(0, 0)) << "a reason that is none";
  EXPECT_FALSE(with(0, 5));
  EXPECT_FALSE(with(1, 2)) << "neither with nor without an expiration";
  EXPECT_FALSE(with(2, 0)) << "a count of 0";
  EXPECT_FALSE(with(18, 255)) << "a queue's name that goes beyond the end";
}

}  // namespace
}  // namespace levada::queue::test
