#include <rabbitmq/rabbit_server.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rabbitmq/rabbit_client.hpp>
#include <rabbitmq/shared_server.hpp>

namespace levada::rabbit {
namespace {

namespace fs = std::filesystem;

std::optional<pid_t> parent_of(pid_t process) {
  std::ifstream in{"/proc/" + std::to_string(process) + "/stat"};
  std::string status;
  std::getline(in, status);
  const std::size_t end = status.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  return std::atoi(status.c_str() + end + 4);
}

std::set<pid_t> with_descendants(pid_t first) {
  std::set<pid_t> all{first};
  for (std::size_t before = 0; before != all.size();) {
    before = all.size();
    for (const auto& entry : fs::directory_iterator{"/proc"}) {
      const int process = std::atoi(entry.path().filename().c_str());
      if (process <= 0) continue;
      const auto parent = parent_of(process);
      if (parent && all.count(*parent) != 0) all.insert(process);
    }
  }
  return all;
}

/// The local addresses, in the kernel's spelling, on which these processes listen.
std::vector<std::string> listening(const std::set<pid_t>& processes) {
  std::set<std::string> inodes;
  for (const pid_t process : processes) {
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator{"/proc/" + std::to_string(process) + "/fd", gone}) {
      const std::string target = fs::read_symlink(entry.path(), gone).string();
      if (target.rfind("socket:[", 0) == 0) inodes.insert(target.substr(8, target.size() - 9));
    }
  }
  std::vector<std::string> addresses;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in{table};
    for (std::string line; std::getline(in, line);) {
      std::istringstream words{line};
      std::array<std::string, 10> word;
      for (std::string& w : word) words >> w;
      if (word[3] == "0A" && inodes.count(word[9]) != 0) addresses.push_back(word[1]);
    }
  }
  return addresses;
}

/// Waits for the end of a process that need not be a child.
bool ends(int descriptor) {
  pollfd waiting{descriptor, POLLIN, 0};
  return ::poll(&waiting, 1, 60'000) == 1;
}

class RabbitServer : public with_server {};

TEST_F(RabbitServer, ListensOnTheLoopbackInterfaceOnly) {
  const rabbit_server& server = shared_server();
  std::set<std::string> ports;
  for (const std::string& address : listening(with_descendants(server.keeper()))) {
    const std::size_t colon = address.find(':');
    EXPECT_THAT(address.substr(0, colon), ::testing::AnyOf("0100007F", "00000000000000000000000001000000"));
    ports.insert(address.substr(colon + 1));
  }
  std::set<std::string> expected;
  for (const std::uint16_t port : server.ports()) {
    std::array<char, 5> digits{};
    std::snprintf(digits.data(), digits.size(), "%04X", port);
    expected.insert(digits.data());
  }
  EXPECT_EQ(ports, expected);
}

TEST_F(RabbitServer, KeepsVirtualHostsApart) {
  rabbit_server& server = shared_server();
  const virtual_host one{server};
  const virtual_host other{server};
  rabbit_client in_one{server.port(), one.name()};
  rabbit_client in_other{server.port(), other.name()};
  EXPECT_EQ(in_one.declare_queue(1, "q").code, 0);
  EXPECT_EQ(in_other.declare_queue(1, "q", {.passive = true}).code, 404);
}

TEST_F(RabbitServer, DeletesAVirtualHost) {
  rabbit_server& server = shared_server();
  std::string name;
  {
    const virtual_host host{server};
    name = host.name();
  }
  EXPECT_THROW(rabbit_client(server.port(), name), std::runtime_error);
}

TEST_F(RabbitServer, LeavesNoProcessAndNoFile) {
  fs::path directory;
  std::set<pid_t> processes;
  {
    rabbit_server server;
    const virtual_host host{server};
    directory = server.directory();
    processes = with_descendants(server.keeper());
    EXPECT_TRUE(fs::exists(directory / "data"));
    // The keeper, the server and epmd at least.
    EXPECT_GE(processes.size(), 3U);
  }
  EXPECT_FALSE(fs::exists(directory));
  for (const pid_t process : processes) EXPECT_EQ(parent_of(process), std::nullopt) << process;
}

TEST_F(RabbitServer, EndsWithAProgramThatIsKilled) {
  std::array<int, 2> said{};
  ASSERT_EQ(::pipe2(said.data(), O_CLOEXEC), 0);
  const pid_t program = ::fork();
  ASSERT_GE(program, 0);
  if (program == 0) {
    const rabbit_server server;
    const std::string line = std::to_string(server.keeper()) + ' ' + server.directory().string() + '\n';
    if (::write(said[1], line.data(), line.size()) < 0) ::_exit(1);
    for (;;) ::pause();
  }
  ::close(said[1]);
  std::string line;
  for (char c = 0; ::read(said[0], &c, 1) == 1 && c != '\n';) line += c;
  ::close(said[0]);
  std::istringstream words{line};
  pid_t keeper = 0;
  std::string directory;
  words >> keeper >> directory;
  ASSERT_GT(keeper, 0);
  EXPECT_TRUE(fs::exists(directory));
  const std::set<pid_t> processes = with_descendants(keeper);
  // From 5.3 on. glibc 2.36 is the first to wrap it.
  const int watched = static_cast<int>(::syscall(SYS_pidfd_open, keeper, 0));
  ASSERT_GE(watched, 0);

  ::kill(program, SIGKILL);
  ::waitpid(program, nullptr, 0);
  EXPECT_TRUE(ends(watched));
  ::close(watched);
  EXPECT_FALSE(fs::exists(directory));
  for (const pid_t process : processes) {
    if (process == keeper) continue;
    EXPECT_EQ(parent_of(process), std::nullopt) << process;
  }
}

}  // namespace
}  // namespace levada::rabbit
