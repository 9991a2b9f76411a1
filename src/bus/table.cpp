#include <levada/table.hpp>

#include <fmt/format.h>

#include <utility>

#include "bus/catalog_intents.hpp"
#include "bus/pending.hpp"
#include "bus/table_impl.hpp"
#include "bus/table_scan.hpp"
#include "storage/host_table.hpp"

namespace levada {
namespace {

/// Writes or, without a value, erases.
class table_write : public intent {
 public:
  table_write(std::shared_ptr<table_slot> table, std::string key, std::optional<std::string> value)
      : intent{value ? key.size() + value->size() : 0},
        table_{std::move(table)},
        key_{std::move(key)},
        value_{std::move(value)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (table_->deleted) return table_is_gone(*table_);
    if (value_)
      return scope.written(storage::put_host_value(scope.txn(), scope.tables(), table_->id, key_, *value_));
    auto erased = scope.written(storage::erase_host_value(scope.txn(), scope.tables(), table_->id, key_));
    if (!erased) return erased.error();
    erased_ = *erased;
    return {};
  }
  void applied(commit_scope&) noexcept override {}
  [[nodiscard]] bool erased() const noexcept { return erased_; }

 private:
  const std::shared_ptr<table_slot> table_;
  const std::string key_;
  const std::optional<std::string> value_;
  bool erased_ = false;
};

/// One that nobody waits for.
template <class T>
class submitted_table_write final : public table_write {
 public:
  submitted_table_write(std::shared_ptr<table_slot> table, std::string key, std::optional<std::string> value,
                        pending<T> answer)
      : table_write{std::move(table), std::move(key), std::move(value)}, answer_{std::move(answer)} {}
  void finished(result<void> outcome) noexcept override {
    if constexpr (std::is_void_v<T>) {
      answer_.answer(std::move(outcome));
    } else {
      answer_.answer(outcome ? result<T>{erased()} : outcome.error());
    }
  }

 private:
  pending<T> answer_;
};

/// Reads as of the newest commit.
template <class Read>
auto read_table(const core& owner, const table_slot& table, const std::string& operation, Read read)
    -> decltype(read(std::declval<const storage::read_transaction&>(),
                     std::declval<const storage::main_tables&>())) {
  auto access = owner.enter(operation);
  if (!access) return access.error();
  if (table.deleted) return table_is_gone(table);
  auto txn = storage::read_transaction::begin(access->main().env());
  if (!txn) return txn.error();
  return read(*txn, access->main().tables());
}

}  // namespace

result<void> check_table_key(std::string_view operation, const table_key& key) {
  if (key.encoded().size() <= table_key_bytes_max) return {};
  return error{errc::field_too_long, fmt::format("{}: the key has {} bytes encoded, the limit is {}",
                                                 operation, key.encoded().size(), table_key_bytes_max)};
}

result<void> check_table_value(std::string_view operation, std::string_view value) {
  if (value.size() <= table_value_bytes_max) return {};
  return error{errc::field_too_long, fmt::format("{}: the value has {} bytes, the limit is {}", operation,
                                                 value.size(), table_value_bytes_max)};
}

result<void> check_scan(std::string_view operation, const scan_options& options) {
  if (options.entries_max >= 1) return {};
  return error{errc::invalid_argument, fmt::format("{}: entries_max is 0, the least is 1", operation)};
}

std::string table_operation(std::string_view verb, const table_slot& table) {
  return fmt::format("{} table '{}'", verb, table.name);
}

table::table(std::shared_ptr<const impl> self) noexcept : impl_{std::move(self)} {}
table::table(const table&) noexcept = default;
table::table(table&&) noexcept = default;
table& table::operator=(const table&) noexcept = default;
table& table::operator=(table&&) noexcept = default;
table::~table() = default;

const std::string& table::name() const noexcept {
  return impl_->slot->name;
}

result<std::optional<std::string>> table::get(const table_key& key) const {
  const std::string operation = table_operation("get from", *impl_->slot);
  if (auto fits = check_table_key(operation, key); !fits) return fits.error();
  return read_table(*impl_->owner, *impl_->slot, operation, [&](const auto& txn, const auto& tables) {
    return storage::get_host_value(txn, tables, impl_->slot->id, storage::host_key(key.encoded()));
  });
}

result<void> table::put(const table_key& key, std::string_view value) const {
  const std::string operation = table_operation("put into", *impl_->slot);
  if (auto fits = check_table_key(operation, key); !fits) return fits;
  if (auto fits = check_table_value(operation, value); !fits) return fits;
  table_write write{impl_->slot, storage::host_key(key.encoded()), std::string{value}};
  return impl_->owner->run(operation, write);
}

result<bool> table::erase(const table_key& key) const {
  const std::string operation = table_operation("erase from", *impl_->slot);
  if (auto fits = check_table_key(operation, key); !fits) return fits.error();
  table_write write{impl_->slot, storage::host_key(key.encoded()), std::nullopt};
  if (auto done = impl_->owner->run(operation, write); !done) return done.error();
  return write.erased();
}

void table::start_put(const std::shared_ptr<const impl>& self, const table_key& key, std::string value,
                      detail::completion<void> done) {
  pending<void> answer{std::move(done), *self->owner};
  const std::string operation = table_operation("put into", *self->slot);
  auto fits = check_table_key(operation, key);
  if (fits) fits = check_table_value(operation, value);
  if (!fits) {
    answer.answer(std::move(fits));
    return;
  }
  self->owner->submit(
      operation, std::make_unique<submitted_table_write<void>>(self->slot, storage::host_key(key.encoded()),
                                                               std::move(value), std::move(answer)));
}

void table::start_erase(const std::shared_ptr<const impl>& self, const table_key& key,
                        detail::completion<bool> done) {
  pending<bool> answer{std::move(done), *self->owner};
  const std::string operation = table_operation("erase from", *self->slot);
  if (auto fits = check_table_key(operation, key); !fits) {
    answer.answer(fits.error());
    return;
  }
  self->owner->submit(
      operation, std::make_unique<submitted_table_write<bool>>(self->slot, storage::host_key(key.encoded()),
                                                               std::nullopt, std::move(answer)));
}

result<std::vector<table_entry>> table::scan(const key_range& range, const scan_options& options) const {
  const std::string operation = table_operation("scan", *impl_->slot);
  if (auto fits = check_scan(operation, options); !fits) return fits.error();
  return read_table(*impl_->owner, *impl_->slot, operation, [&](const auto& txn, const auto& tables) {
    auto found = scan_table(txn, tables, *impl_->slot, range, options);
    return found ? result<std::vector<table_entry>>{std::move(found->entries)} : found.error();
  });
}

}  // namespace levada
