#pragma once

/// @file
/// Random operations on a bus and on the model of it, whose answers must agree.

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <support/temporary_directory.hpp>

#include <levada/levada.hpp>

#include "kafka_invariants.hpp"
#include "model.hpp"
#include "random_walk.hpp"

namespace levada::test {

/// What walks have come to, so that none shows nothing.
struct walk_counts {
  std::uint64_t operations = 0;
  std::uint64_t polled = 0;       // records, by members
  std::uint64_t handed_over = 0;  // partitions that came to a member
  std::uint64_t crashes = 0;
  std::uint64_t transactions = 0;  // that were committed
  std::uint64_t undone = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t not_assigned = 0;  // commits of members that had lost a partition
};
[[nodiscard]] std::string to_text(const walk_counts& c);

/// A bus with topics, exchanges, queues, groups, tables and transactions, in which whatever there is to do is
/// done in random order, crashes included. Several members, takers and transactions are under way at a time,
/// in one thread, and which goes on next is random too. The same seed does the same.
///
/// What is sent and read is kept as a history, of which the invariants of Jepsen's Kafka workload must hold.
class model_walk {
 public:
  /// Adds what it does to `counts`, which must outlive it.
  model_walk(std::uint32_t seed, walk_counts& counts) : random_{seed}, counts_{counts} { open(); }

  /// Throws `disagreement` where the bus answers otherwise than the model.
  void run(std::uint64_t steps);
  [[nodiscard]] std::string latest_operations() const { return trail_.text(); }

 private:
  static constexpr std::chrono::milliseconds at_once{0};
  static constexpr kafka_history::process publisher = 0;

  struct member_handle {
    std::string group;
    std::string id;
    std::size_t records_max = 0;
    kafka_history::process process = 0;
    consumer reader;
  };
  struct taker_handle {
    std::string queue;
    std::uint32_t prefetch = 0;
    /// Whether it has been the queue's only consumer since it came: then it gets the queue's exact order.
    /// Several fetch ahead, so that which of them gets a message is not defined.
    bool alone = true;
    bool closed = false;  // with its queue
    std::uint64_t last_tag = 0;
    std::map<std::uint64_t, std::size_t> unsettled;  // positions by tag
    queue_consumer taker;
  };
  /// A record that a transaction is to publish.
  struct sent_record {
    std::string log;
    bool routed = false;
    std::string routing_key;
    std::optional<std::uint32_t> partition;  // absent where the bus chooses
    std::string text;
  };
  struct sent_offset {
    std::string group;
    std::string member;
    topic_partition where;
    std::uint64_t next = 0;
  };
  struct scanned_range {
    std::string table;
    std::string first;
    std::string beyond;
    std::map<std::string, std::string> content;  // as it was
  };
  /// What a transaction has done so far. One within `bus::transact` does not collect, and has read nothing
  /// that could change.
  struct transaction_model {
    using place = std::pair<std::string, std::string>;  // table and key
    bool collects = true;
    bool doomed = false;
    std::map<place, std::optional<std::string>> read;
    std::vector<scanned_range> scanned;
    std::map<place, std::optional<std::string>> written;
    std::vector<sent_record> records;
    std::vector<sent_offset> offsets;
    std::set<std::pair<std::string, std::string>> members;  // that it names: groups and ids
  };
  struct transaction_handle {
    kafka_history::process process = 0;
    transaction_model done;
    transaction under_way;
  };

  // Choices

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::string name(const char* kind, std::uint32_t many) { return fmt::format("{}{}", kind, below(many)); }
  std::string topic_name() { return one_in(12) ? name("exchange", 2) : name("topic", 3); }
  std::string exchange_name() { return one_in(12) ? name("topic", 3) : name("exchange", 2); }
  std::string queue_name();
  template <class Container>
  std::size_t below_size(const Container& c) {
    return below(static_cast<std::uint32_t>(c.size()));
  }
  std::string key_of_words(bool wildcards);
  std::string some_value();
  /// A record and what it should read as.
  std::pair<record, std::string> some_record(const std::string& routing_key);
  start_position some_start(const model_log* log, std::optional<std::uint32_t> partition);
  topic_partition some_place();

  // Opening, closing and what is not seen from outside

  [[nodiscard]] std::filesystem::path store() const { return directory_ / fmt::format("store{}", crashes_); }
  void open();
  void close();
  void reopen();
  /// The process dies, and another one opens what it has left on the disk.
  void crash();
  /// What is left of the model when nobody has the store open.
  void forget_handles(bool died);
  void seal();
  void move_time();
  /// The time that a commit now gets.
  [[nodiscard]] timestamp now() const;
  [[nodiscard]] std::uint64_t records_stored() const;

  // One operation

  void step();
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    trail_.add(fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] const std::string& last() const { return trail_.last(); }

  // Declaring, binding and publishing

  void declare_topic();
  void declare_exchange();
  void declare_queue();
  void declare_anonymous_queue();
  void delete_queue();
  void end_queue(const std::string& queue);
  void bind();
  void unbind();
  std::optional<errc> no_route(const std::string& exchange, const std::string& queue);
  void publish();
  void publish_batch();
  void publish_to_exchange();

  // Groups

  void join();
  void leave();
  void poll();
  void commit();
  void commit_one();
  void seek();
  void ask_positions();
  void pause();
  model_member& modelled(const member_handle& m) { return model_.groups.at(m.group).members.at(m.id); }
  void check_positions(const member_handle& m);

  // Queues

  std::uint32_t takers_of(const std::string& queue);
  void consume();
  void stop_consuming();
  void receive();
  /// Returns whether something came.
  bool receive_from(taker_handle& t);
  void settle();
  void drain_queues();

  // Tables and transactions

  void write_table();
  void read_table();
  void begin();
  void go_on();
  void commit_transaction();
  void abort_transaction();
  void transact();
  void step_of(transaction& t, transaction_model& m);
  void publish_in(transaction& t, transaction_model& m);
  void send_offsets_in(transaction& t, transaction_model& m);
  void read_in(transaction& t, transaction_model& m);
  void write_in(transaction& t, transaction_model& m);
  void scan_in(transaction& t, transaction_model& m, const std::string& table);
  void erase_in(transaction& t, transaction_model& m, const transaction_model::place& at);
  /// Whether it may look up a key; else what it has read before has changed, and it is doomed.
  bool may_read(transaction_model& m, const transaction_model::place& at) const;
  /// What it sees under a key.
  [[nodiscard]] std::optional<std::string> seen_by(const transaction_model& m,
                                                   const transaction_model::place& at) const;
  [[nodiscard]] std::map<std::string, std::string> part_of(const std::string& table, const std::string& first,
                                                           const std::string& beyond) const;
  [[nodiscard]] std::optional<std::string> stored(const transaction_model::place& at) const;
  std::string some_table_value() { return one_in(3) ? "again" : some_value(); }
  transaction_model::place some_table_place();
  /// Within `bus::transact` nothing of the bus can be asked for them.
  void take_handles();
  /// Whether what it has read has changed: then it is doomed.
  [[nodiscard]] bool outdated(const transaction_model& m) const;
  /// What its commit fails with.
  [[nodiscard]] std::optional<errc> obstacle(const transaction_model& m) const;
  void committed(kafka_history::process who, const transaction_model& m, const transaction_receipt& receipt);
  void undone(const transaction_model& m);
  /// A member is about to go, which its transactions must not outlive.
  void abort_transactions_of(const member_handle& m);
  void abort_at(std::size_t which);

  // Keeping the history

  /// The number of a record, which is told from all others by its text.
  std::uint64_t value_of(const std::string& text);
  void note_sent(kafka_history::process who, const topic_partition& log, const std::string& text,
                 std::optional<std::uint64_t> offset);
  void read_everything();

  // Looking

  void check_record(const record_view& r);
  void replay_some();
  void compare_listings();
  void compare_queues();
  void compare_groups();
  void compare_tables();

  std::mt19937 random_;
  walk_counts& counts_;
  temporary_directory directory_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  std::optional<bus> bus_;
  model model_;
  timestamp opened_wall_;
  clock::steady_time opened_steady_{};
  timestamp newest_at_open_;
  timestamp sealed_at_;  // the store keeps the time of its last sealing
  std::uint64_t sealed_ = 0;
  std::vector<exclusive_queue> anonymous_;
  std::vector<member_handle> members_;
  std::vector<taker_handle> takers_;
  std::vector<transaction_handle> transactions_;
  std::map<std::string, topic> topic_handles_;
  std::map<std::string, table> table_handles_;
  operation_trail trail_;
  int values_ = 0;
  int crashes_ = 0;
  kafka_history history_;
  std::unordered_map<std::string, std::uint64_t> numbers_;  // of values, by text
  kafka_history::process processes_ = 0;                    // 0 is who publishes without a transaction
};

/// Makes one walk. Returns what went wrong, with the latest operations; nothing when nothing did.
[[nodiscard]] std::string walk_once(std::uint32_t seed, std::uint64_t steps, walk_counts& counts);

}  // namespace levada::test
