// A message for a thousand queues: what each queue adds to publishing it, in time and on the disk, alone and
// in groups of a hundred messages. Beside it the same messages through an exchange that nothing is bound to,
// and for a thousand queues that cannot store together what comes to them, as they count deliveries.

#include <fmt/format.h>
#include <lmdb.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr double grouped_target = 150;  // nanoseconds a queue
constexpr double lone_target = 2'000;   // nanoseconds a queue
constexpr double bytes_target = 40;     // a queue

struct sizes {
  std::size_t queues = 1'000;
  std::size_t rounds = 9;
  std::size_t groups = 10;  // in a round
  std::size_t lone = 50;    // messages in a round
};
constexpr std::size_t group = 100;

std::vector<message> messages_to(const std::string& exchange) {
  std::vector<message> all;
  for (std::size_t i = 0; i < group; ++i) all.emplace_back(exchange, "key", record{std::string{value_of(i)}});
  return all;
}

/// Nanoseconds that `work` takes.
template <class Work>
double time_of(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

/// Bytes of the pages that queues take in a store's main file, which nobody has open.
std::size_t bytes_of_queues(const std::filesystem::path& main) {
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi table = 0;
  MDB_stat stat{};
  const auto check = [](int rc) {
    if (rc != 0) throw std::runtime_error{mdb_strerror(rc)};
  };
  check(mdb_env_create(&env));
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> closes{env, &mdb_env_close};
  check(mdb_env_set_maxdbs(env, 16));
  check(mdb_env_open(env, main.c_str(), MDB_RDONLY | MDB_NOLOCK, 0600));
  check(mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn));
  const std::unique_ptr<MDB_txn, decltype(&mdb_txn_abort)> ends{txn, &mdb_txn_abort};
  check(mdb_dbi_open(txn, "queues", 0, &table));
  check(mdb_stat(txn, table, &stat));
  return (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
}

/// An exchange with so many queues.
void declare(bus& b, const std::string& exchange, std::size_t queues, const queue_options& how) {
  exchange_options fanout;
  fanout.type = exchange_type::fanout;
  b.declare_exchange(exchange, fanout).value();
  for (std::size_t i = 0; i < queues; ++i) {
    stop_if_asked();
    const std::string name = fmt::format("{}-{}", exchange, i);
    b.declare_queue(name, how).value();
    b.bind(exchange, name, "").value();
  }
}

/// What a queue and message cost in time and on the disk.
struct costs {
  std::vector<double> grouped;
  std::vector<double> lone;
  double bytes = 0;
};

costs measure(const std::filesystem::path& store, const sizes& n, const queue_options& how) {
  auto b = bus::open(store, unsealed(checkpointed{std::chrono::hours{1}})).value();
  declare(b, "all", n.queues, how);
  declare(b, "none", 0, {});
  const auto to_all = messages_to("all");
  const auto to_none = messages_to("none");
  const auto publish_groups = [&](const std::vector<message>& what) {
    return time_of([&] {
      for (std::size_t i = 0; i < n.groups; ++i) (void)b.publish(what).value();
    });
  };
  const auto publish_lone = [&](const char* exchange) {
    const record r{std::string{value_of(0)}};
    return time_of([&] {
      for (std::size_t i = 0; i < n.lone; ++i) (void)b.publish(exchange, "key", r).value();
    });
  };
  costs found;
  std::size_t entries_stored = 0;
  for (std::size_t i = 0; i <= n.rounds; ++i) {
    stop_if_asked();
    const auto queues_count = static_cast<double>(n.queues);
    const double groups_all = publish_groups(to_all);
    const double groups_none = publish_groups(to_none);
    const double lone_all = publish_lone("all");
    const double lone_none = publish_lone("none");
    entries_stored += (n.groups * group + n.lone) * n.queues;
    if (i == 0) continue;  // touches memory
    const auto entries = static_cast<double>(n.groups * group) * queues_count;
    found.grouped.push_back((groups_all - groups_none) / entries);
    found.lone.push_back((lone_all - lone_none) / (static_cast<double>(n.lone) * queues_count));
  }
  b.close().value();
  found.bytes = static_cast<double>(bytes_of_queues(store / "main")) / static_cast<double>(entries_stored);
  return found;
}

void answer(const std::filesystem::path& directory, findings& f, const sizes& n) {
  const costs alike = measure(directory / "alike", n, {});
  const costs apart = measure(directory / "apart", n, {.delivery_limit = 1'000});
  const auto tell = [&](const char* which, const costs& c) {
    f.line(fmt::format("{} queues {}; a queue costs, ns: in groups of {} {}, alone {}; {:.2f} bytes",
                       n.queues, which, group, with_range(c.grouped), with_range(c.lone), c.bytes));
  };
  tell("alike", alike);
  tell("that store apart", apart);
  f.at_most("grouped_ns", "a queue and message, in groups of 100, ns", median(alike.grouped), grouped_target);
  f.at_most("lone_ns", "a queue of a lone message, ns", median(alike.lone), lone_target);
  f.at_most("entry_bytes", "a queue and message on the disk, bytes", alike.bytes, bytes_target);
}

}  // namespace

void ask_fan_out(suite& s) {
  const auto n = s.size(sizes{}, sizes{.queues = 20, .rounds = 2, .groups = 1, .lone = 3});
  s.ask(study{.name = "fan_out",
              .text = "a message for a thousand queues (checkpointed)",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, n); }});
}

}  // namespace levada::bench
