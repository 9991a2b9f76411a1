#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/core.hpp"
#include "bus/table_scan.hpp"
#include "bus/transaction_part.hpp"

#include <levada/transaction.hpp>

namespace levada {

/// Either in the middle of a commit, and then everything is executed at once; or collecting.
class transaction::impl : public std::enable_shared_from_this<impl> {
 public:
  explicit impl(std::shared_ptr<core> owner) noexcept : owner_{std::move(owner)} {}
  ~impl() { end(false); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  /// Runs a function in the middle of a commit.
  [[nodiscard]] static result<transaction_receipt> run(
      std::shared_ptr<core> owner, const std::function<result<void>(transaction&)>& function,
      const transact_options& options);

  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }
  /// Makes a part, and adds it. `make` runs where the bus may be used.
  [[nodiscard]] result<void> add(std::string_view operation,
                                 const std::function<result<std::unique_ptr<transaction_part>>()>& make);

  [[nodiscard]] result<std::optional<std::string>> get(const std::shared_ptr<table_slot>& table,
                                                       const table_key& key);
  [[nodiscard]] result<void> put(const std::shared_ptr<table_slot>& table, const table_key& key,
                                 std::string_view value);
  [[nodiscard]] result<bool> erase(const std::shared_ptr<table_slot>& table, const table_key& key);
  [[nodiscard]] result<std::vector<table_entry>> scan(const std::shared_ptr<table_slot>& table,
                                                      const key_range& range, const scan_options& options);

  [[nodiscard]] result<transaction_receipt> commit();
  static void start_commit(const std::shared_ptr<impl>& self, detail::completion<transaction_receipt> done);
  void abort() noexcept {
    if (!submitted_) end(false);
  }

 private:
  class function_intent;
  class collected_intent;
  class submitted_transaction;

  struct value_read {
    std::shared_ptr<table_slot> table;
    std::string key;
    std::optional<std::uint64_t> hash;  // nothing: there was none
  };
  struct range_seen {
    std::shared_ptr<table_slot> table;
    read_range range;
  };
  struct written_table {
    std::shared_ptr<table_slot> table;
    table_writes writes;
  };

  /// Fails when it has ended, cannot succeed any more, or takes too long. What lets the bus be used is held
  /// while it collects; in the middle of a commit it is held anyway.
  [[nodiscard]] result<std::optional<core::access>> enter(std::string_view operation);
  /// After an error that leaves nothing to be saved.
  error doom(error why);
  [[nodiscard]] result<void> take_room(std::string_view operation, std::size_t bytes);
  /// Of a collecting one: a snapshot in which all that was read before is still so.
  [[nodiscard]] result<storage::read_transaction> snapshot(const core::access& access);
  [[nodiscard]] result<void> check_reads(const storage::transaction& txn, const storage::main_tables& tables);
  [[nodiscard]] result<std::optional<std::string>> read_value(const core::access& access,
                                                              const std::shared_ptr<table_slot>& table,
                                                              const std::string& key);
  [[nodiscard]] result<void> write(const std::string& operation, const std::shared_ptr<table_slot>& table,
                                   const table_key& key, std::optional<std::string_view> value);
  /// In the middle of a commit: runs the function, and undoes it where it fails.
  [[nodiscard]] result<void> call(commit_scope& scope,
                                  const std::function<result<void>(transaction&)>& function);
  /// Everything that has been collected.
  [[nodiscard]] result<void> execute(commit_scope& scope);
  [[nodiscard]] result<void> prepare();
  [[nodiscard]] result<void> may_commit(std::string_view operation);
  [[nodiscard]] transaction_receipt receipt() const;
  /// Tells the parts, once.
  void end(bool committed, errc why = {}) noexcept;

  const std::shared_ptr<core> owner_;
  commit_scope* scope_ = nullptr;  // in the middle of a commit
  bool collects_ = true;
  bool submitted_ = false;  // its intent ends it
  bool ended_ = false;
  std::optional<error> doomed_;
  clock::steady_time deadline_ = clock::steady_time::max();
  std::size_t bytes_ = 0;
  std::vector<std::unique_ptr<transaction_part>> parts_;
  std::map<std::uint32_t, written_table> written_;
  std::vector<value_read> reads_;
  std::vector<range_seen> ranges_;
  std::optional<std::uint64_t> snapshot_;  // the newest LMDB transaction in which all reads were so
  std::exception_ptr thrown_;
};

}  // namespace levada
