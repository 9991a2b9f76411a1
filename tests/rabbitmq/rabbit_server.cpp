#include <rabbitmq/rabbit_server.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace levada::rabbit {

namespace {

/// How long the server may take to start, and then to answer.
constexpr int start_ms_max = 180'000;
constexpr int answer_ms_max = 60'000;
/// Other programs may take a free port between the moment it is found and the server's start.
constexpr int starts_max = 3;

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

/// Ports of the loopback interface that were free a moment ago, different from each other.
template <std::size_t Count>
std::array<std::uint16_t, Count> free_ports() {
  std::array<std::uint16_t, Count> found{};
  std::array<int, Count> sockets{};
  for (std::size_t i = 0; i < Count; ++i) {
    sockets[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* general = reinterpret_cast<sockaddr*>(&address);
    if (sockets[i] < 0 || ::bind(sockets[i], general, size) != 0 ||
        ::getsockname(sockets[i], general, &size) != 0) {
      fail("free port");
    }
    found[i] = ntohs(address.sin_port);
  }
  for (const int s : sockets) ::close(s);
  return found;
}

struct pipe_ends {
  int read = -1;
  int write = -1;
};

pipe_ends make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  return {ends[0], ends[1]};
}

void close_end(int& descriptor) noexcept {
  if (descriptor >= 0) ::close(std::exchange(descriptor, -1));
}

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out{file};
  out << text;
  if (!out.flush()) throw std::runtime_error{"cannot write " + file.string()};
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// This program's environment without what would configure another server, and with what configures ours.
std::vector<std::string> environment(const std::filesystem::path& directory, std::uint16_t amqp,
                                     std::uint16_t distribution, std::uint16_t epmd) {
  std::vector<std::string> all;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    const auto is_of = [text](std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; };
    if (!is_of("RABBITMQ_") && !is_of("ERL_") && !is_of("HOME=") && !is_of("NOTIFY_SOCKET=")) {
      all.emplace_back(text);
    }
  }
  const auto in_directory = [&](const char* name, const char* file) {
    all.push_back(fmt::format("{}={}", name, (directory / file).string()));
  };
  in_directory("HOME", "home");
  in_directory("RABBITMQ_CONF_ENV_FILE", "no-environment-file");
  in_directory("RABBITMQ_CONFIG_FILE", "rabbitmq.conf");
  in_directory("RABBITMQ_CONFIG_FILES", "no-more-configuration");
  in_directory("RABBITMQ_ADVANCED_CONFIG_FILE", "no-advanced.config");
  in_directory("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins");
  in_directory("RABBITMQ_GENERATED_CONFIG_DIR", "generated");
  in_directory("RABBITMQ_SCHEMA_DIR", "schema");
  in_directory("RABBITMQ_MNESIA_BASE", "data");
  in_directory("RABBITMQ_LOG_BASE", "log");
  in_directory("RABBITMQ_LOGS", "log/server.log");
  in_directory("RABBITMQ_PID_FILE", "server.pid");
  in_directory("ERL_CRASH_DUMP", "crash.dump");
  all.push_back(fmt::format("RABBITMQ_NODENAME=levada{}@localhost", amqp));
  all.emplace_back("RABBITMQ_NODE_IP_ADDRESS=127.0.0.1");
  all.push_back(fmt::format("RABBITMQ_NODE_PORT={}", amqp));
  all.push_back(fmt::format("RABBITMQ_DIST_PORT={}", distribution));
  all.emplace_back("ERL_EPMD_ADDRESS=127.0.0.1");
  all.push_back(fmt::format("ERL_EPMD_PORT={}", epmd));
  // The script replaces itself by the server instead of watching it.
  all.emplace_back("RABBITMQ_ALLOW_INPUT=1");
  // One scheduler: a comparison gains nothing from more, and processes then run in the order in which they
  // were sent something.
  all.emplace_back("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}");
  all.emplace_back("LEVADA_CONTROL=" LEVADA_RABBITMQ_CONTROL);
  return all;
}

/// Never returns: becomes the program, which dies with this process's parent.
[[noreturn]] void become(std::vector<std::string> arguments, std::vector<std::string> variables,
                         const std::filesystem::path& output) {
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  ::execvpe(arguments[0].c_str(), pointers(arguments).data(), pointers(variables).data());
  ::_exit(127);
}

/// Those of this process, among them orphans of its descendants.
void kill_children() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    // "pid (command) state parent ..."; the command may hold anything.
    const std::string status = read_file(entry.path() / "stat");
    const std::size_t end = status.rfind(')');
    if (end == std::string::npos || end + 4 >= status.size()) continue;
    if (std::atoi(status.c_str() + end + 4) == ::getpid()) ::kill(std::atoi(name.c_str()), SIGKILL);
  }
}

struct keeper_ends {
  int life = -1;
  int commands = -1;
  int answers = -1;
};

/// The keeper process: starts the server, waits for the end of `life`, then ends all its descendants, orphans
/// included, and removes the directory.
[[noreturn]] void keep(const std::filesystem::path& directory, const std::vector<std::string>& variables,
                       std::uint16_t epmd, keeper_ends ends) {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(ignored, SIG_IGN);
  // All three away from the numbers that they, and the keeper's own output, shall have.
  const int life = ::fcntl(ends.life, F_DUPFD, 10);
  const int commands = ::fcntl(ends.commands, F_DUPFD, 10);
  const int answers = ::fcntl(ends.answers, F_DUPFD, 10);
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, standard);
  ::dup2(commands, 3);
  ::dup2(answers, 4);
  ::dup2(life, 5);
  ::fcntl(5, F_SETFD, FD_CLOEXEC);
  ::close_range(6, ~0U, 0);

  const pid_t port_mapper = ::fork();
  if (port_mapper == 0) {
    ::close_range(3, ~0U, 0);
    become({"epmd", "-address", "127.0.0.1", "-port", std::to_string(epmd)}, variables, directory / "output");
  }
  const pid_t server = ::fork();
  if (server == 0) {
    become({LEVADA_RABBITMQ_SERVER, "-noinput", "-eval",
            "{ok, control, Code} = compile:file(os:getenv(\"LEVADA_CONTROL\"), [binary]), "
            "{module, control} = code:load_binary(control, \"control\", Code), control:start()."},
           variables, directory / "output");
  }
  // So that the other ends learn of the server's end.
  ::close(3);
  ::close(4);
  for (char byte = 0; ::read(5, &byte, 1) < 0 && errno == EINTR;) {
  }
  ::kill(server, SIGKILL);
  ::kill(port_mapper, SIGKILL);
  do {
    kill_children();
  } while (::waitpid(-1, nullptr, 0) > 0 || errno != ECHILD);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  ::_exit(0);
}

}  // namespace

std::optional<std::string> reason_for_no_server() {
  if (::access(LEVADA_RABBITMQ_SERVER, X_OK) == 0) return std::nullopt;
  return std::string{"there is no " LEVADA_RABBITMQ_SERVER "; " LEVADA_RABBITMQ_HINT};
}

rabbit_server::rabbit_server() {
  for (int attempt = 1;; ++attempt) {
    start();
    if (read_answer() == "ready") return;
    const std::string log = log_tail();
    stop();
    if (attempt == starts_max || log.find("eaddrinuse") == std::string::npos) {
      throw std::runtime_error{"the RabbitMQ server did not start:\n" + log};
    }
  }
}

rabbit_server::~rabbit_server() {
  stop();
}

void rabbit_server::start() {
  std::string name = (std::filesystem::temp_directory_path() / "levada-rabbit-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail("mkdtemp");
  directory_ = name;
  const auto [amqp, distribution, epmd] = free_ports<3>();
  ports_ = {amqp, distribution, epmd};
  std::filesystem::create_directory(directory_ / "home");
  std::filesystem::create_directory(directory_ / "log");
  write_file(directory_ / "plugins", "[].\n");
  // Little is stored, so neither alarm shall stop publishers; a dead letter that goes round is no news.
  write_file(directory_ / "rabbitmq.conf", fmt::format("listeners.tcp.1 = 127.0.0.1:{}\n"
                                                       "disk_free_limit.absolute = 1MB\n"
                                                       "vm_memory_high_watermark.relative = 0.9\n"
                                                       "log.file.level = error\n",
                                                       amqp));
  const std::vector<std::string> variables = environment(directory_, amqp, distribution, epmd);
  pipe_ends life = make_pipe();
  pipe_ends commands = make_pipe();
  pipe_ends answers = make_pipe();
  keeper_ = ::fork();
  if (keeper_ < 0) fail("fork");
  if (keeper_ == 0) keep(directory_, variables, epmd, {life.read, commands.read, answers.write});
  close_end(life.read);
  close_end(commands.read);
  close_end(answers.write);
  life_ = life.write;
  commands_ = commands.write;
  answers_ = answers.read;
}

void rabbit_server::stop() noexcept {
  close_end(life_);
  close_end(commands_);
  close_end(answers_);
  buffered_.clear();
  if (keeper_ > 0) {
    while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  keeper_ = -1;
}

std::vector<std::uint16_t> rabbit_server::ports() const {
  return {ports_.amqp, ports_.distribution, ports_.epmd};
}

std::string rabbit_server::ask(std::string_view command) {
  const std::string line = std::string{command} + '\n';
  if (::write(commands_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail("command");
  std::optional<std::string> answer = read_answer();
  if (!answer) throw std::runtime_error{fmt::format("no answer to '{}':\n{}", command, log_tail())};
  return *std::move(answer);
}

std::optional<std::string> rabbit_server::read_answer() {
  const int patience = hosts_ == 0 ? start_ms_max : answer_ms_max;
  for (;;) {
    const std::size_t end = buffered_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    pollfd waiting{answers_, POLLIN, 0};
    if (const int ready = ::poll(&waiting, 1, patience); ready <= 0) {
      if (ready < 0 && errno == EINTR) continue;
      return std::nullopt;
    }
    std::array<char, 256> bytes{};
    const ssize_t got = ::read(answers_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    buffered_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

std::string rabbit_server::log_tail() const {
  constexpr std::size_t length = 4'000;
  const std::string all = read_file(directory_ / "log/server.log") + read_file(directory_ / "output");
  return all.substr(all.size() - std::min(all.size(), length));
}

virtual_host::virtual_host(rabbit_server& server)
    : server_{server}, name_{fmt::format("v{}", ++server.hosts_)} {
  server_.ask("add " + name_);
}

virtual_host::~virtual_host() {
  try {
    server_.ask("delete " + name_);
  } catch (const std::exception&) {
    // The server has ended, and every virtual host with it.
  }
}

void virtual_host::settle() {
  const std::string attempts = server_.ask("settle " + name_);
  if (attempts == "restless") throw std::runtime_error{"the queues of " + name_ + " do not come to rest"};
  server_.waits_ += std::stoull(attempts) - 1;
}

}  // namespace levada::rabbit
