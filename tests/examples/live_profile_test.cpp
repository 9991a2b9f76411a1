#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include <fmt/core.h>

#include <levada/levada.hpp>

#include <support/file_bytes.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <live_profile/credentials.hpp>
#include <live_profile/gateway.hpp>
#include <live_profile/host.hpp>
#include <live_profile/leaks.hpp>
#include <live_profile/members.hpp>
#include <live_profile/profile_event.hpp>
#include <live_profile/profile_table.hpp>
#include <live_profile/public_profile.hpp>
#include <live_profile/screen.hpp>
#include <live_profile/user_service.hpp>
#include <live_profile/viewer.hpp>
#include <live_profile/watch.hpp>

#include "program.hpp"

namespace live_profile {
namespace {

using levada::errc;
using levada::test::fails_with;
using levada::test::ok;
using levada::test::read_file;
using levada::test::succeeds;
using levada::test::temporary_directory;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

// What is private cannot be published: it is no part of the one type that can, nor can it become one.
static_assert(std::is_invocable_v<decltype(to_event), public_profile>);
static_assert(!std::is_invocable_v<decltype(to_event), credentials>);
static_assert(!std::is_invocable_v<decltype(to_event), member>);
static_assert(!std::is_convertible_v<member, public_profile>);
static_assert(!std::is_convertible_v<credentials, public_profile>);
static_assert(!std::is_convertible_v<secret, std::string> &&
              !std::is_convertible_v<secret, std::string_view>);
static_assert(!fmt::is_formattable<secret>::value && !fmt::is_formattable<credentials>::value);

const credentials adas{secret{"ada@example.org"}, secret{"$argon2id$bm9ib2R5LWlzLXRvLXNlZS10aGlz"}};

/// Ends a test that hangs; nothing takes so long.
constexpr std::chrono::seconds patience{60};

class LiveProfile : public ::testing::Test {
 protected:
  void open(levada::bus_options options = {}) {
    options.clock = clock_;
    options.maintenance = levada::maintenance_mode::on_call;
    bus_.emplace(ok(levada::bus::open(store(), options)));
  }
  /// As if the host was started anew.
  void reopen() {
    bus_.reset();
    open();
  }
  [[nodiscard]] levada::bus& bus() {
    if (!bus_) open();
    return *bus_;
  }
  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  [[nodiscard]] std::filesystem::path beside(const std::string& name) const { return directory_ / name; }
  [[nodiscard]] levada::manual_clock& clock() { return *clock_; }
  [[nodiscard]] const std::shared_ptr<levada::manual_clock>& shared_clock() { return clock_; }
  [[nodiscard]] boost::asio::io_context& context() { return context_; }
  [[nodiscard]] gateway make_gateway() { return gateway{bus(), context_.get_executor(), clock_}; }
  [[nodiscard]] surroundings around() {
    return {bus(), ok(bus().table(profiles_table)), context_.get_executor(), clock_};
  }

  /// Runs the handlers of viewers.
  void run_until(const std::function<bool()>& done) {
    context_.restart();
    const auto work = boost::asio::make_work_guard(context_);
    while (!done()) ASSERT_NE(context_.run_one_for(patience), 0U) << "nothing comes";
  }
  /// Until all viewers have what there is for them: their queues are empty.
  void run_until_taken(const gateway& by) {
    run_until([&] { return by.waiting() == by.connected() && messages() == 0; });
  }
  [[nodiscard]] std::uint64_t messages() {
    std::uint64_t count = 0;
    for (const auto& q : ok(bus().queues())) count += q.messages;
    return count;
  }

  /// What has been published so far.
  [[nodiscard]] std::vector<public_profile> events() {
    std::vector<public_profile> all;
    auto pass = ok(bus().replay(notification_exchange));
    for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) {
      for (const auto& event : batch) {
        EXPECT_EQ(event.routing_key(), routing_key_of(ok(profile_in(event)).id));
        all.push_back(ok(profile_in(event)));
      }
    }
    return all;
  }
  [[nodiscard]] std::vector<public_profile> profiles() {
    return ok(read_profiles(ok(bus().table(profiles_table))));
  }

 private:
  temporary_directory directory_;
  std::shared_ptr<levada::manual_clock> clock_ = std::make_shared<levada::manual_clock>();
  boost::asio::io_context context_{1};  // outlives the bus
  std::optional<levada::bus> bus_;
};

std::shared_ptr<screen> make_screen() {
  return std::make_shared<screen>("screen");
}

/// The version of a user that a screen shows; 0 where it shows none.
std::uint64_t version_on(const screen& s, user_id id) {
  const auto found = s.profiles().find(id);
  return found == s.profiles().end() ? 0 : found->second.version;
}

// Profiles and credentials

TEST_F(LiveProfile, AProfileIsReadAsItWasWritten) {
  for (const auto& p :
       {public_profile{17, 3, "Ada Lovelace", "at her desk"}, public_profile{1, 1, "x", ""}}) {
    EXPECT_EQ(parse_public_profile(to_text(p)), p) << to_text(p);
  }
  for (const auto* text : {"", "17", "17\t3\tAda", "x\t3\tAda\t", "17\t-3\tAda\t", "17\t3\tAda\t\tmore"}) {
    EXPECT_EQ(parse_public_profile(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_credentials(reveal_entry(adas)), adas);
  EXPECT_EQ(parse_credentials("one field"), std::nullopt);
}

TEST_F(LiveProfile, WhatWouldNotBeReadAsItWasWrittenIsRefused) {
  user_service users{bus()};
  for (const auto& d : {details{"", ""}, details{"A\tda", ""}, details{"Ada", "two\nlines"},
                        details{std::string(101, 'x'), ""}, details{"Ada", std::string(201, 'x')}}) {
    EXPECT_THAT(users.sign_up(d, adas), fails_with(errc::invalid_argument)) << d.name;
    EXPECT_THAT(users.change(1, d), fails_with(errc::invalid_argument)) << d.name;
  }
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_THAT(profiles(), IsEmpty());
}

TEST_F(LiveProfile, WhatIsWrongWithASecretIsSaidWithoutIt) {
  user_service users{bus()};
  const auto refused = users.sign_up({"Ada", ""}, {secret{"ada@example.org"}, secret{"hash\twith a tab"}});
  ASSERT_THAT(refused, fails_with(errc::invalid_argument));
  EXPECT_EQ(refused.error().message(), "password hash: a control character");
}

// The user service

TEST_F(LiveProfile, EachChangeIsPublishedInOrder) {
  user_service users{bus()};
  const auto first = ok(users.sign_up({"Ada", "new"}, adas));
  const auto other = ok(users.sign_up({"Grace", "new"}, adas));
  const auto second = ok(users.change(first.id, {"Ada", "busy"}));
  EXPECT_EQ(first, (public_profile{1, 1, "Ada", "new"}));
  EXPECT_EQ(other, (public_profile{2, 1, "Grace", "new"}));
  EXPECT_EQ(second, (public_profile{1, 2, "Ada", "busy"}));
  EXPECT_THAT(events(), ElementsAre(first, other, *second));
  EXPECT_THAT(profiles(), ElementsAre(*second, other));
}

TEST_F(LiveProfile, WhoDoesNotExistCannotBeChanged) {
  user_service users{bus()};
  EXPECT_EQ(ok(users.change(17, {"Nobody", ""})), std::nullopt);
  EXPECT_FALSE(ok(users.change_credentials(17, adas)));
  EXPECT_EQ(ok(users.credentials_of(17)), std::nullopt);
  EXPECT_THAT(events(), IsEmpty());
}

// Fails when the event is published before or after the transaction of the change.
TEST_F(LiveProfile, NoChangeIsMadeThatNobodyCouldBeToldOf) {
  levada::bus_options options;
  options.record_bytes_max = 200;
  open(options);
  user_service users{bus()};
  const auto before = ok(users.sign_up({"Ada", "new"}, adas));
  // Too large for an event, but not for a table.
  const details large{"Ada", std::string(200, 'x')};
  EXPECT_THAT(users.change(before.id, large), fails_with(errc::record_too_large));
  EXPECT_THAT(users.sign_up(large, adas), fails_with(errc::record_too_large));
  EXPECT_THAT(events(), ElementsAre(before));
  EXPECT_THAT(profiles(), ElementsAre(before));
  EXPECT_EQ(ok(users.credentials_of(before.id + 1)), std::nullopt);
}

TEST_F(LiveProfile, CredentialsChangeWithoutAnEvent) {
  user_service users{bus()};
  const auto entered = ok(users.sign_up({"Ada", "new"}, adas));
  const auto changed = with_new_password(adas);
  EXPECT_TRUE(ok(users.change_credentials(entered.id, changed)));
  EXPECT_EQ(ok(users.credentials_of(entered.id)), changed);
  EXPECT_THAT(events(), ElementsAre(entered));
}

// What never leaves

/// The bytes of all files below a directory whose paths contain `part`.
std::string bytes_below(const std::filesystem::path& directory, std::string_view part = "") {
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{directory}) {
    if (!entry.is_regular_file() || entry.path().string().find(part) == std::string::npos) continue;
    all += read_file(entry.path());
  }
  return all;
}

TEST_F(LiveProfile, NoByteOfASecretIsAnywhereButInItsTable) {
  levada::bus_options options;
  options.journal_bytes_seal = 0;
  open(options);
  user_service users{bus()};
  auto viewers = make_gateway();
  const auto stuck = make_screen();
  stuck->freeze();
  ok(viewers.connect(watch::everybody(), stuck));  // so that a queue holds messages as well
  const auto renewed = with_new_password(adas);
  const auto id = ok(users.sign_up({"Augusta Ada King", "sealed away"}, adas)).id;
  ASSERT_TRUE(ok(users.change_credentials(id, renewed)));
  ok(users.change(id, {"Augusta Ada King", "sealed away again"}));
  ok(bus().maintain());  // logs are in segments from here on
  ok(users.change(id, {"Augusta Ada King", "still in the journal"}));
  ASSERT_EQ(messages(), 3U);

  const auto hash = renewed.password_hash.reveal();
  const auto sealed = bytes_below(store(), "segments");
  EXPECT_THAT(sealed, HasSubstr("sealed away again")) << "it is where logs are";
  // A backup holds what is in use, and no older copies of pages.
  ok(bus().backup(beside("with")));
  EXPECT_THAT(bytes_below(beside("with")), HasSubstr(hash)) << "the service has kept it";
  ok(bus().delete_table("credentials"));
  ok(bus().backup(beside("without")));
  const auto rest = bytes_below(beside("without"));
  EXPECT_THAT(rest, HasSubstr("still in the journal"));
  for (const auto& s : {adas.mail_address, adas.password_hash, renewed.password_hash}) {
    EXPECT_EQ(sealed.find(s.reveal()), std::string::npos) << s.reveal();
    EXPECT_EQ(rest.find(s.reveal()), std::string::npos) << s.reveal();
  }
  EXPECT_THAT(find_leaks(bus(), {adas.mail_address, adas.password_hash, renewed.password_hash}).leaks,
              IsEmpty());
}

TEST_F(LiveProfile, ALeakIsFoundInWhateverPartOfARecord) {
  const auto& hash = adas.password_hash.reveal();
  user_service users{bus()};
  ok(users.sign_up({"Ada", "new"}, adas));
  const auto publish = [&](const levada::record& r) { ok(bus().publish(notification_exchange, "k", r)); };
  publish(levada::record{"key", "{\"hash\": \"" + hash + "\"}"});
  publish(levada::record{hash, "value"});
  publish(levada::record{"value"}.header("hash", hash));
  publish(levada::record{"value"}.header(hash, true));
  publish(levada::record{"value"}.correlation_id(hash));
  ok(bus().publish(notification_exchange, hash, levada::record{"value"}));
  ok(ok(bus().declare_topic("audit")).publish(levada::record{hash}));
  const auto report = find_leaks(bus(), {adas.password_hash});
  EXPECT_EQ(report.records, 8U);
  EXPECT_THAT(report.leaks, SizeIs(7));
  EXPECT_THAT(report.leaks, Each(HasSubstr("holds a private field")));
  EXPECT_THAT(report.leaks, Each(Not(HasSubstr(hash))));
}

// Viewers

TEST_F(LiveProfile, AViewerIsSentASnapshotAndThenTheChanges) {
  user_service users{bus()};
  auto viewers = make_gateway();
  ok(users.sign_up({"Ada", "new"}, adas));
  ok(users.change(1, {"Ada", "busy"}));
  const auto shown = make_screen();
  ok(viewers.connect(watch::users({1}), shown));
  EXPECT_EQ(version_on(*shown, 1), 2U);
  EXPECT_EQ(shown->changes(), 0U);
  const auto changed = ok(users.change(1, {"Ada", "idle"}));
  run_until_taken(viewers);
  EXPECT_EQ(shown->profiles().at(1), changed);
  EXPECT_EQ(shown->changes(), 1U);
  EXPECT_THAT(shown->violations(), IsEmpty());
}

TEST_F(LiveProfile, ViewersGetTheChangesOfThoseWhomTheyWatch) {
  user_service users{bus()};
  auto viewers = make_gateway();
  for (int n = 0; n < 11; ++n) ok(users.sign_up({"Somebody", ""}, adas));
  const auto one = make_screen();
  const auto several = make_screen();
  const auto everybody = make_screen();
  ok(viewers.connect(watch::users({1}), one));
  ok(viewers.connect(watch::users({1, 2}), several));
  ok(viewers.connect(watch::everybody(), everybody));
  const auto routed = ok(bus().stats()).queues.routed;
  for (user_id id = 1; id <= 11; ++id) ok(users.change(id, {"Somebody", "else"}));
  run_until_taken(viewers);
  EXPECT_EQ(one->changes(), 1U) << "user 11 is not user 1";
  EXPECT_EQ(several->changes(), 2U);
  EXPECT_EQ(everybody->changes(), 11U);
  EXPECT_EQ(ok(bus().stats()).queues.routed - routed, 14U) << "the others cost them nothing";
  EXPECT_THAT(one->profiles(), SizeIs(1));
  EXPECT_THAT(several->profiles(), SizeIs(2));
}

TEST_F(LiveProfile, AViewerMayWaitForAUserWhoDoesNotExistYet) {
  user_service users{bus()};
  auto viewers = make_gateway();
  const auto shown = make_screen();
  ok(viewers.connect(watch::users({1}), shown));
  EXPECT_THAT(shown->profiles(), IsEmpty());
  const auto entered = ok(users.sign_up({"Ada", "new"}, adas));
  run_until_taken(viewers);
  EXPECT_EQ(shown->profiles().at(1), entered);
}

// Read before it is bound, the snapshot would lack both changes; and without a look at versions, the screen
// would go back to the older ones.
TEST_F(LiveProfile, NothingIsMissedOrStaleThatHappensBetweenBindingAndSnapshot) {
  user_service users{bus()};
  ok(users.sign_up({"Ada", "new"}, adas));
  const auto shown = make_screen();
  const auto v = ok(viewer::bind(around(), watch::everybody(), shown, nullptr));
  ok(users.change(1, {"Ada", "bound already"}));
  ok(users.change(1, {"Ada", "and now read"}));
  ok(v->start());
  EXPECT_EQ(version_on(*shown, 1), 3U) << "as of now";
  ok(users.change(1, {"Ada", "later"}));
  run_until([&] { return v->is_waiting() && messages() == 0; });
  EXPECT_EQ(version_on(*shown, 1), 4U);
  EXPECT_EQ(shown->changes(), 1U);
  EXPECT_EQ(v->known_already(), 2U);
  EXPECT_THAT(shown->violations(), IsEmpty());
  ok(v->disconnect());
}

TEST_F(LiveProfile, NothingIsMissedOrStaleWhileChangesGoOn) {
  constexpr std::uint64_t changes = 400;
  user_service users{bus()};
  auto viewers = make_gateway();
  ok(users.sign_up({"Ada", "new"}, adas));
  std::jthread changing{[&] {
    for (std::uint64_t n = 0; n < changes; ++n) ok(users.change(1, {"Ada", std::to_string(n)}));
  }};
  std::vector<std::shared_ptr<screen>> screens;
  for (int n = 0; n < 20; ++n) {
    screens.push_back(make_screen());
    ok(viewers.connect(n % 2 == 0 ? watch::everybody() : watch::users({1}), screens.back()));
    const auto newest = profiles().front().version;
    run_until([&] { return version_on(*screens.back(), 1) >= newest; });
  }
  changing.join();
  run_until_taken(viewers);
  for (const auto& s : screens) {
    EXPECT_EQ(version_on(*s, 1), changes + 1);
    EXPECT_THAT(s->violations(), IsEmpty());
  }
}

TEST_F(LiveProfile, ASlowViewerHoldsUpNobodyAndMissesNothing) {
  user_service users{bus()};
  auto viewers = make_gateway();
  ok(users.sign_up({"Ada", "new"}, adas));
  const auto slow = make_screen();
  const auto other = make_screen();
  ok(viewers.connect(watch::everybody(), slow));
  ok(viewers.connect(watch::everybody(), other));
  slow->freeze();
  for (std::uint64_t n = 1; n <= 50; ++n) {
    ok(users.change(1, {"Ada", std::to_string(n)}));
    run_until([&] { return other->changes() == n; });
  }
  EXPECT_EQ(slow->changes(), 0U);
  slow->thaw();
  run_until_taken(viewers);
  EXPECT_EQ(slow->changes(), 50U);
  EXPECT_THAT(slow->violations(), IsEmpty());
}

TEST_F(LiveProfile, OnlyWhoTakesNothingForLongIsDropped) {
  user_service users{bus()};
  auto viewers = make_gateway();
  ok(users.sign_up({"Ada", "new"}, adas));
  const auto slow = make_screen();
  const auto idle = make_screen();
  ok(viewers.connect(watch::everybody(), slow));
  ok(viewers.connect(watch::everybody(), idle));
  slow->freeze();
  for (int n = 0; n < 20; ++n) ok(users.change(1, {"Ada", std::to_string(n)}));
  run_until([&] { return idle->changes() == 20 && viewers.waiting() == 1; });
  clock().advance(std::chrono::milliseconds{29'999});
  EXPECT_EQ(ok(viewers.drop_stalled(std::chrono::seconds{30})), 0U);
  EXPECT_EQ(messages(), 20U) << "they wait for the slow one";
  clock().advance(std::chrono::milliseconds{1});
  EXPECT_EQ(ok(viewers.drop_stalled(std::chrono::seconds{30})), 1U);
  EXPECT_EQ(messages(), 0U) << "they go with its queue";
  EXPECT_EQ(slow->end(), "no update was taken for 30000 ms");
  EXPECT_EQ(idle->end(), "") << "for whom there was nothing to take";
  EXPECT_EQ(viewers.connected(), 1U);
}

TEST_F(LiveProfile, NothingIsKeptForWhoIsGone) {
  user_service users{bus()};
  auto viewers = make_gateway();
  ok(users.sign_up({"Ada", "new"}, adas));
  const auto shown = make_screen();
  const auto id = ok(viewers.connect(watch::users({1, 2, 3}), shown));
  EXPECT_THAT(ok(bus().queues()), SizeIs(1));
  EXPECT_THAT(ok(bus().bindings()), SizeIs(3));
  shown->freeze();
  ok(users.change(1, {"Ada", "busy"}));
  run_until([&] { return viewers.waiting() == 0; });
  EXPECT_THAT(viewers.disconnect(id), succeeds());
  EXPECT_THAT(ok(bus().queues()), IsEmpty());
  EXPECT_THAT(ok(bus().bindings()), IsEmpty());
  const auto routed = ok(bus().stats()).queues.routed;
  ok(users.change(1, {"Ada", "idle"}));
  EXPECT_EQ(ok(bus().stats()).queues.routed, routed);
  shown->thaw();  // the network says late that the last update went out
  EXPECT_THAT(viewers.disconnect(id), succeeds()) << "twice is no error";
}

TEST_F(LiveProfile, NothingIsKeptOnceTheGatewayOrTheHostIsGone) {
  user_service{bus()};
  {
    auto viewers = make_gateway();
    ok(viewers.connect(watch::everybody(), make_screen()));
  }
  EXPECT_THAT(ok(bus().queues()), IsEmpty());
  const auto v = ok(viewer::bind(around(), watch::everybody(), make_screen(), nullptr));
  EXPECT_THAT(ok(bus().queues()), SizeIs(1));
  reopen();
  EXPECT_THAT(ok(bus().queues()), IsEmpty());
  EXPECT_THAT(ok(bus().bindings()), IsEmpty());
}

TEST_F(LiveProfile, AViewerEndsAtAnEventThatCannotBeRead) {
  user_service users{bus()};
  auto viewers = make_gateway();
  const auto shown = make_screen();
  const auto other = make_screen();
  ok(viewers.connect(watch::users({1}), shown));
  ok(viewers.connect(watch::users({2}), other));
  ok(bus().publish(notification_exchange, routing_key_of(1), levada::record{"nonsense"}));
  run_until([&] { return viewers.connected() == 1; });
  EXPECT_EQ(shown->end(), "'notification' offset 0: 'nonsense' is not a profile");
  EXPECT_EQ(other->end(), "");
  EXPECT_THAT(ok(bus().queues()), SizeIs(1));
}

TEST_F(LiveProfile, ViewersEndWithTheBus) {
  user_service{bus()};
  auto viewers = make_gateway();
  const auto shown = make_screen();
  ok(viewers.connect(watch::everybody(), shown));
  ok(bus().close());
  run_until([&] { return viewers.connected() == 0; });
  EXPECT_NE(shown->end(), "");
  EXPECT_THAT(viewers.connect(watch::everybody(), make_screen()), fails_with(errc::closed));
}

// The screen, which checks

TEST_F(LiveProfile, AScreenFindsWhatWasLeftOutOrCameTwice) {
  const auto send = [](screen& s, update::kind what, std::uint64_t version) {
    s.send({what, {{1, version, "Ada", ""}}}, [] {});
  };
  screen s{"page"};
  send(s, update::kind::snapshot, 3);
  send(s, update::kind::change, 4);
  EXPECT_THAT(s.violations(), IsEmpty());
  send(s, update::kind::change, 6);
  send(s, update::kind::change, 6);
  send(s, update::kind::snapshot, 6);
  EXPECT_THAT(s.violations(), ElementsAre("page: user 1: version 6 came after version 4",
                                          "page: user 1: version 6 came after version 6",
                                          "page: a snapshot is the first update, and no other one"));
}

// The program

class LiveProfileProgram : public ::testing::Test {
 protected:
  static levada::test::ending run(std::vector<std::string> options) {
    options.insert(options.begin(), LIVE_PROFILE_PROGRAM);
    return levada::test::run(std::move(options));
  }
  [[nodiscard]] levada::test::ending run_short() const {
    return run({"--dir", directory(), "--viewers", "3", "--changes", "20"});
  }
  [[nodiscard]] std::filesystem::path directory() const { return place_ / "run"; }

 private:
  temporary_directory place_;
};

TEST_F(LiveProfileProgram, ShowsAndProves) {
  const auto e = run_short();
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, StartsWith("Users sign up; nobody watches them.\n"
                                 "  3 events, and nothing is kept for anybody: 0 queues, 0 bindings, 0 "
                                 "messages\n"));
  EXPECT_THAT(e.said, HasSubstr("The team's page is closed. Before: 3 queues, 4 bindings, 0 messages.\n"
                                "  after: 2 queues, 2 bindings, 0 messages\n"));
  EXPECT_THAT(e.said, HasSubstr("  the 6 who watch her showed each before the next was made\n"
                                "  the slow one took 0; 20 wait in its queue\n"));
  EXPECT_THAT(e.said, HasSubstr("1 viewer is disconnected (no update was taken for 30000 ms): 6 queues, 7 "
                                "bindings, 0 messages\n"));
  EXPECT_THAT(e.said, HasSubstr("All viewers leave. Before: 7 queues, 8 bindings, 0 messages.\n"));
  EXPECT_THAT(e.said, HasSubstr("120 changes shown by others, 0 by it"));
  EXPECT_THAT(e.said, Not(HasSubstr("✗")));
  EXPECT_THAT(e.said, HasSubstr("PROVED: "));
  for (const auto& s : sample_secrets()) EXPECT_THAT(e.said, Not(HasSubstr(s.reveal())));
}

TEST_F(LiveProfileProgram, SaysTheSameEachTime) {
  EXPECT_EQ(run({}).said, run({}).said);
}

TEST_F(LiveProfileProgram, GoesOnWithWhatIsThere) {
  ASSERT_EQ(run_short().status, 0);
  const auto e = run_short();
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, StartsWith("A store with 3 users: 0 queues, 0 bindings, 0 messages.\n"));
  EXPECT_THAT(e.said, Not(HasSubstr("✗")));
  for (const auto& entry : std::filesystem::directory_iterator{directory()}) {
    EXPECT_EQ(entry.path().filename(), "store") << "nothing else is left";
  }
}

TEST_F(LiveProfileProgram, LeavesNothingOfItsViewersWhenItIsKilled) {
  levada::test::program p{{LIVE_PROFILE_PROGRAM, "--dir", directory(), "--changes", "1000000"}};
  p.wait_for("Ada changes 1,000,000 times");
  p.signal(SIGKILL);
  EXPECT_EQ(p.wait().status, 128 + SIGKILL);
  const auto e = run_short();
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, StartsWith("A store with 3 users: 0 queues, 0 bindings, 0 messages.\n"));
}

TEST_F(LiveProfileProgram, FailsWhenAPrivateFieldWasPublished) {
  ASSERT_EQ(run_short().status, 0);
  {
    auto bus = ok(levada::bus::open(directory() / "store"));
    const levada::record r{sample_members().front().private_part.password_hash.reveal()};
    ok(bus.publish(notification_exchange, "user.entered.1", r));
  }
  const auto e = run_short();
  EXPECT_EQ(e.status, 1) << e.said;
  EXPECT_THAT(e.said, HasSubstr("✗ no private field was told"));
  EXPECT_THAT(e.said, HasSubstr("NOT PROVED"));
}

TEST_F(LiveProfileProgram, SaysWhyItCannotOpenItsStore) {
  std::filesystem::create_directories(directory());
  const auto owner = ok(levada::bus::open(directory() / "store"));
  const auto e = run_short();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, StartsWith("live_profile: "));
  EXPECT_THAT(e.said, HasSubstr("pid " + std::to_string(::getpid())));
}

TEST_F(LiveProfileProgram, SaysWhyItCannotUseItsDirectory) {
  levada::test::write_file(directory(), "a file");
  const auto e = run_short();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, StartsWith("live_profile: "));
  EXPECT_THAT(e.said, HasSubstr(directory().string()));
}

TEST_F(LiveProfileProgram, ExplainsItself) {
  const auto e = run({"--help"});
  EXPECT_EQ(e.status, 0);
  EXPECT_THAT(e.said, StartsWith("usage: live_profile "));
  for (const auto* option : {"--dir", "--viewers", "--changes"}) EXPECT_THAT(e.said, HasSubstr(option));
}

TEST_F(LiveProfileProgram, RefusesWrongUsage) {
  const std::map<std::string, std::vector<std::string>> cases{
      {"'--nonsense' is not an option", {"--nonsense"}},
      {"'more' is not an option", {"more"}},
      {"--changes: '0' is not a whole number from 1 to", {"--changes", "0"}},
      {"--viewers: 'x' is not a whole number from 1 to", {"--viewers", "x"}},
      {"--viewers: a value is missing", {"--viewers"}},
      {"--dir: the path is empty", {"--dir", ""}},
  };
  for (const auto& [text, options] : cases) {
    const auto e = run(options);
    EXPECT_EQ(e.status, 2) << text;
    EXPECT_THAT(e.said, StartsWith("live_profile: " + text));
  }
}

}  // namespace
}  // namespace live_profile
