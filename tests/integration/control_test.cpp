// Groups changed from outside, through the owner's socket or without an owner.

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void listens(bus_options& o) {
  o.control_socket = true;
}

/// What a client has that its owner lets no longer than 10 s.
constexpr std::chrono::seconds beyond_patience{11};

mode_t mode_of(const fs::path& file) {
  struct stat info {};
  return ::lstat(file.c_str(), &info) == 0 ? info.st_mode : 0;
}

/// Somebody at the socket who need not keep to the protocol. What he waits for ends after a minute at most.
class stranger {
 public:
  explicit stranger(const fs::path& store) {
    const int directory = ::open(store.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval minute{60, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ("/proc/self/fd/" + std::to_string(directory) + "/control")
        .copy(address.sun_path, sizeof address.sun_path - 1);
    const bool connected = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const int why = errno;
    ::close(directory);
    if (!connected) throw std::system_error{why, std::generic_category(), "connect"};
  }
  stranger(const stranger&) = delete;
  stranger& operator=(const stranger&) = delete;
  ~stranger() { ::close(fd_); }

  void send(std::string_view bytes) const {
    static_cast<void>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  /// A header of the protocol, which is the same in every version.
  void send_header(std::uint32_t version, std::uint32_t size) const {
    std::string header = "levctrl\n";
    header.append(reinterpret_cast<const char*>(&version), sizeof version);
    header.append(reinterpret_cast<const char*>(&size), sizeof size);
    send(header);
  }
  void end_sending() const { ::shutdown(fd_, SHUT_WR); }
  /// All that the owner says until it ends the conversation.
  [[nodiscard]] std::string hear_out() const {
    std::string heard;
    std::array<char, 4096> buffer;
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EAGAIN) throw std::runtime_error{"the owner does not end the conversation"};
      if (n <= 0) return heard;
      heard.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_ = -1;
};

/// A topic of two partitions with ten records each, of which a group has read 4 in the first.
class Control : public bus_fixture {
 protected:
  explicit Control(void (*adjust)(bus_options&) = listens) : bus_fixture{adjust} {
    const auto topic = ok(the_bus().declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 10; ++i) {
      for (const unsigned p : {0U, 1U}) ok(topic.publish(partition_id{p}, record{"v"}));
    }
    auto reader = join("g", {"orders"});
    ok(reader.commit({"orders", partition_id{0}}, offset{4}));
  }
  [[nodiscard]] fs::path socket() const { return store() / "control"; }
  [[nodiscard]] auto reset(const offset_reset_options& o, const std::string& group = "g") const {
    return levada::reset_offsets(store(), group, "orders", o);
  }
  [[nodiscard]] std::vector<std::optional<std::uint64_t>> stored() {
    std::vector<std::optional<std::uint64_t>> all{std::nullopt, std::nullopt};
    for (const auto& group : ok(the_bus().groups())) {
      for (const auto& p : group.partitions) {
        if (p.committed) all.at(p.where.partition.value()) = p.committed->value();
      }
    }
    return all;
  }
  /// What a child process does; its exit status is 0 where that says yes.
  static void expect_of_child(const std::function<bool()>& what) {
    child_process child{[&](const auto&) { return what() ? 0 : 1; }};
    EXPECT_EQ(child.wait(), 0);
  }
};

class WithoutControl : public Control {
 protected:
  WithoutControl() : Control{has_default_limits} {}
};

TEST_F(Control, ResetsOffsetsForAnotherProcess) {
  expect_of_child([&] {
    const auto changes = reset({.to = from_latest{}});
    return changes && changes->size() == 2 && (*changes)[0].where.topic == "orders" &&
           (*changes)[0].from == offset{4} && (*changes)[0].to == offset{10} &&
           (*changes)[1].where.partition == partition_id{1} && !(*changes)[1].from;
  });
  EXPECT_THAT(stored(), ElementsAre(4U, std::nullopt)) << "a dry run";
  expect_of_child([&] {
    return reset({.to = offset{3}, .partitions = {partition_id{1}}, .dry_run = false}).has_value();
  });
  EXPECT_THAT(stored(), ElementsAre(4U, 3U));
}

TEST_F(Control, DeletesAGroupForAnotherProcess) {
  expect_of_child([&] { return levada::delete_group(store(), "g", {.dry_run = true}).has_value(); });
  EXPECT_EQ(ok(the_bus().groups()).size(), 1U);
  expect_of_child([&] { return levada::delete_group(store(), "g").has_value(); });
  EXPECT_TRUE(ok(the_bus().groups()).empty());
}

TEST_F(Control, ServesTheOwnerItself) {
  EXPECT_EQ(ok(reset({.to = from_latest{}, .dry_run = false})).size(), 2U);
  EXPECT_THAT(stored(), ElementsAre(10U, 10U));
}

TEST_F(Control, CountsDurationsByTheClockOfTheBus) {
  the_clock().advance(std::chrono::hours{1});
  EXPECT_EQ(ok(reset({.to = std::chrono::hours{2}}))[0].to, offset{0});
  EXPECT_EQ(ok(reset({.to = std::chrono::minutes{1}}))[0].to, offset{10});
  EXPECT_EQ(ok(reset({.to = std::chrono::milliseconds::max()}))[0].to, offset{0});
}

TEST_F(Control, PassesOnWhyTheOwnerRefuses) {
  EXPECT_THAT(reset({}, "h"), fails_with(errc::unknown_group));
  EXPECT_THAT(levada::reset_offsets(store(), "g", "nothing", {}), fails_with(errc::unknown_topic));
  EXPECT_THAT(reset({.partitions = {partition_id{2}}}), fails_with(errc::unknown_partition));
  EXPECT_THAT(reset({.to = std::chrono::milliseconds{-1}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(levada::delete_group(store(), "h"), fails_with(errc::unknown_group));
  EXPECT_THAT(levada::delete_group(store(), "h", {.dry_run = true}), fails_with(errc::unknown_group));
  EXPECT_THAT(levada::delete_group(store(), std::string(2'000'000, 'x')), fails_with(errc::invalid_argument));
}

TEST_F(Control, RefusesAGroupWithMembers) {
  auto member = join("g", {"orders"});
  EXPECT_THAT(reset({}), fails_with(errc::group_in_use));
  EXPECT_THAT(reset({.dry_run = false}), fails_with(errc::group_in_use));
  EXPECT_THAT(levada::delete_group(store(), "g", {.dry_run = true}), fails_with(errc::group_in_use));
  EXPECT_THAT(levada::delete_group(store(), "g"), fails_with(errc::group_in_use));
  member.close();
  EXPECT_THAT(reset({}), succeeds());
}

TEST_F(WithoutControl, NamesTheOwnerThatDoesNotListen) {
  EXPECT_FALSE(fs::exists(socket()));
  const auto refused = reset({});
  ASSERT_THAT(refused, fails_with(errc::store_in_use));
  EXPECT_THAT(refused.error().message(), HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(refused.error().message(), HasSubstr("bus_options::control_socket"));
  EXPECT_THAT(levada::delete_group(store(), "g"), fails_with(errc::store_in_use));
  EXPECT_THAT(stored(), ElementsAre(4U, std::nullopt));
}

TEST_F(WithoutControl, OpensAStoreThatNobodyOwns) {
  close();
  EXPECT_EQ(ok(reset({.to = from_latest{}})).size(), 2U);
  EXPECT_EQ(ok(reset({.to = from_latest{}, .dry_run = false}))[0].from, offset{4});
  EXPECT_EQ(ok(reset({}))[0].from, offset{10});
  EXPECT_THAT(reset({}, "h"), fails_with(errc::unknown_group));
  ok(levada::delete_group(store(), "g", {.dry_run = true}));
  ok(levada::delete_group(store(), "g"));
  EXPECT_THAT(levada::delete_group(store(), "g"), fails_with(errc::unknown_group));
  EXPECT_FALSE(fs::exists(socket()));
  open();
  EXPECT_TRUE(ok(the_bus().groups()).empty());
}

TEST_F(WithoutControl, MakesNoStore) {
  const fs::path other = store().parent_path() / "other";
  EXPECT_THAT(levada::delete_group(other, "g"), fails_with(errc::store_not_found));
  EXPECT_THAT(levada::reset_offsets(other, "g", "orders", {}), fails_with(errc::store_not_found));
  EXPECT_FALSE(fs::exists(other));
}

TEST_F(Control, IsAFileForTheSameUserAloneThatGoesWhenTheBusCloses) {
  close();
  EXPECT_FALSE(fs::exists(socket()));
  const mode_t before = ::umask(0);
  open();
  ::umask(before);
  EXPECT_EQ(mode_of(socket()), mode_t{S_IFSOCK | 0600});
  ok(the_bus().close());
  EXPECT_FALSE(fs::exists(socket()));
  EXPECT_THAT(reset({}), succeeds()) << "nobody owns it";
}

TEST_F(Control, ReplacesWhatACrashHasLeft) {
  close();
  {
    child_process host{[&](const auto& say) {
      open();
      say("open");
      child_process::wait_for_go();
      return 0;
    }};
    ASSERT_EQ(host.read_line(), "open");
    host.kill(SIGKILL);
    host.wait();
  }
  EXPECT_TRUE(fs::exists(socket()));
  EXPECT_THAT(reset({}), succeeds()) << "nobody owns it";
  EXPECT_FALSE(fs::exists(socket()));
  std::ofstream{socket()} << "no socket";
  EXPECT_THAT(bus::open(store(), options()), fails_with(errc::io_error));
  EXPECT_TRUE(fs::exists(socket()));
  fs::remove(socket());
  open();
  expect_of_child([&] { return reset({}).has_value(); });
}

TEST_F(Control, AsksNobodyAtASocketThatACrashHasLeft) {
  close();
  child_process host{[&](const auto& say) {
    open();
    say("open");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(host.read_line(), "open");
  fs::rename(socket(), store().parent_path() / "kept");
  host.kill(SIGKILL);
  host.wait();
  bus_options silent = options();
  silent.control_socket = false;
  open(silent);
  fs::rename(store().parent_path() / "kept", socket());
  EXPECT_THAT(reset({}), fails_with(errc::store_in_use));
}

TEST_F(Control, StaysWhenAForkedChildEndsItsCopy) {
  expect_of_child([&] {
    close();
    return fs::exists(socket());
  });
  EXPECT_THAT(reset({}), succeeds());
  expect_of_child([&] { return reset({}).has_value(); });
}

TEST_F(Control, WorksInDirectoriesOfAnyDepth) {
  fs::path deep = store().parent_path();
  for (int i = 0; i < 4; ++i) deep /= std::string(100, 'd');
  fs::create_directories(deep);
  const auto there = ok(bus::open(deep / "store", options()));
  EXPECT_EQ(mode_of(deep / "store" / "control"), mode_t{S_IFSOCK | 0600});
  EXPECT_THAT(levada::delete_group(deep / "store", "nobody"), fails_with(errc::unknown_group));
}

TEST_F(Control, IsNoPartOfTheStore) {
  expect_of_child([&] { return check_store(store()).value().problems.empty(); });
  const fs::path copy = store().parent_path() / "copy";
  ok(the_bus().backup(copy));
  EXPECT_TRUE(fs::exists(copy / "LOCK"));
  EXPECT_FALSE(fs::exists(copy / "control"));
  const auto with = ok(the_bus().space());
  close();
  bus_options silent = options();
  silent.control_socket = false;
  open(silent);
  EXPECT_EQ(with.bytes, ok(the_bus().space()).bytes);
}

TEST_F(Control, IsNothingForABusInMemory) {
  EXPECT_THAT(bus::open_in_memory({.control_socket = true}), fails_with(errc::invalid_argument));
}

TEST_F(Control, AnswersWhatIsNoRequestWithAnError) {
  const stranger visitor{store()};
  visitor.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(visitor.hear_out(), HasSubstr("does not come from levada"));
  const stranger newer{store()};
  newer.send_header(2, 64);
  EXPECT_THAT(newer.hear_out(), HasSubstr("version 2 of the protocol, known is 1"));
  for (const std::uint32_t size : {0U, 9U, (1U << 20) + 8, ~7U}) {
    const stranger large{store()};
    large.send_header(1, size);
    EXPECT_THAT(large.hear_out(), HasSubstr("the limit is 1048576")) << size;
  }
  for (const char byte : {'\0', '\x01', '\x7f', '\xff'}) {
    const stranger confused{store()};
    confused.send_header(1, 4096);
    confused.send(std::string(4096, byte));
    EXPECT_THAT(confused.hear_out(), HasSubstr("control: a ")) << static_cast<int>(byte);
  }
  const stranger brief{store()};
  brief.send_header(1, 4096);
  brief.end_sending();
  EXPECT_EQ(brief.hear_out(), "");
  EXPECT_THAT(reset({}), succeeds());
}

TEST_F(Control, SendsWhoSaysNothingAwayInTime) {
  std::vector<std::unique_ptr<stranger>> silent;
  for (int i = 0; i < 7; ++i) silent.push_back(std::make_unique<stranger>(store()));
  silent[3]->send("levc");
  silent[4]->send_header(1, 800);
  // They are let in one after the other: when this one has its answer, all of them are in.
  EXPECT_THAT(reset({}), succeeds());
  const stranger last{store()};
  auto late = std::async(std::launch::async, [&] { return reset({}); });
  the_clock().wait_for_waiters(1);
  the_clock().advance(beyond_patience);
  for (const auto& s : silent) EXPECT_EQ(s->hear_out(), "");
  EXPECT_THAT(late.get(), succeeds());
}

TEST_F(Control, ServesAsManyAsCome) {
  std::vector<std::future<result<std::vector<offset_change>>>> all;
  for (int i = 0; i < 30; ++i) {
    all.push_back(std::async(std::launch::async, [&, i] {
      return reset({.to = offset{static_cast<std::uint64_t>(i % 10)}, .dry_run = i % 2 == 0});
    }));
  }
  for (auto& one : all) EXPECT_THAT(one.get(), succeeds());
}

TEST_F(Control, ClosesThoughSomebodyIsConnected) {
  const stranger silent{store()};
  const stranger halfway{store()};
  halfway.send_header(1, 800);
  ok(the_bus().close());
  EXPECT_THAT(silent.hear_out(), HasSubstr("is closed"));
  EXPECT_THAT(halfway.hear_out(), HasSubstr("is closed"));
  EXPECT_THROW(stranger{store()}, std::system_error);
}

TEST_F(Control, FinishesOrRefusesARequestWhenItCloses) {
  std::promise<void> inside;
  std::promise<void> enough;
  auto blocking = std::async(std::launch::async, [&] {
    return the_bus().transact([&](transaction&) -> result<void> {
      inside.set_value();
      enough.get_future().wait();
      return {};
    });
  });
  inside.get_future().wait();
  std::vector<std::future<result<std::vector<offset_change>>>> asked;
  for (int i = 0; i < 4; ++i)
    asked.push_back(
        std::async(std::launch::async, [&] { return reset({.to = offset{8}, .dry_run = false}); }));
  auto closing = std::async(std::launch::async, [&] { return the_bus().close(); });
  enough.set_value();
  EXPECT_THAT(closing.get(), succeeds());
  static_cast<void>(blocking.get());
  for (auto& one : asked) {
    const auto outcome = one.get();
    // Who comes when the socket is gone finds an owner that does not listen, or the store free.
    if (!outcome) {
      EXPECT_THAT(outcome.error().code(), AnyOf(errc::closed, errc::store_in_use))
          << outcome.error().message();
    }
  }
  open();
  expect_sound();
}

TEST_F(Control, RefusesOtherUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "being somebody else needs root";
  const auto ask_as_somebody_else = [&](mode_t mode) {
    child_process child{[&](const auto& say) {
      if (::chmod(store().c_str(), 0711) != 0 || ::chmod(socket().c_str(), mode) != 0 ||
          ::chdir(store().c_str()) != 0 || ::setgid(54321) != 0 || ::setuid(54321) != 0)
        return 3;
      const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
      const timeval patience{5, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::strcpy(address.sun_path, "control");
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        say(errno == EACCES ? "not let in" : "something else");
        return 0;
      }
      std::array<char, 4096> buffer;
      std::string heard;
      for (ssize_t n = 0; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
        heard.append(buffer.data(), static_cast<std::size_t>(n));
      say(heard.find("belongs to user 0") != std::string::npos ? "refused" : "served");
      return 0;
    }};
    auto said = child.read_line();
    EXPECT_EQ(child.wait(), 0);
    return said;
  };
  EXPECT_EQ(ask_as_somebody_else(0600), "not let in");
  EXPECT_EQ(ask_as_somebody_else(0666), "refused") << "whoever made it a public place";
}

}  // namespace
}  // namespace levada::test
