#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <levada/levada.hpp>

namespace transaction_confirm {

/// After the first check a transaction is checked so often again; then it is given up.
inline constexpr unsigned retries = 3;

/// Tells whether the chain has confirmed a transaction.
using confirmed_function = std::function<bool(const std::string& transaction)>;

/// What a check has found.
struct check {
  std::string transaction;
  /// Which check of this transaction it was, from 1.
  unsigned number = 0;
  bool confirmed = false;
};

/// Looks after transactions until they are confirmed, or given up: a message each, that comes back until
/// then. What happens to it survives the process; a confirmed one is noted in the commit that takes its
/// message off the queue, so it ends once, whatever happens. Calls throw `levada::exception`.
class confirmation {
 public:
  confirmation(levada::bus& bus, std::string name, confirmed_function is_confirmed);
  virtual ~confirmation() = default;
  confirmation(const confirmation&) = delete;
  confirmation& operator=(const confirmation&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Has a transaction checked after one wait.
  virtual void submit(const std::string& transaction) = 0;
  /// Checks the next one whose time has come; waits so long for one. Nothing where none came.
  std::optional<check> check_next(std::chrono::milliseconds timeout);

  /// What has been confirmed, and at which check.
  [[nodiscard]] std::map<std::string, unsigned> confirmed() const;
  /// What has been given up.
  [[nodiscard]] std::vector<std::string> given_up() const;
  /// How many wait, or are to be checked.
  [[nodiscard]] virtual std::uint64_t open() const = 0;

 protected:
  [[nodiscard]] levada::bus& bus() const { return bus_; }
  [[nodiscard]] levada::queue_consumer& checks() { return *checks_; }
  [[nodiscard]] std::string work_queue() const { return name_ + ".work"; }
  [[nodiscard]] std::string given_up_queue() const { return name_ + ".given-up"; }
  [[nodiscard]] std::uint64_t messages_in(const std::string& queue) const;
  /// Once the work queue exists.
  void begin();

 private:
  /// Which check of the transaction this is, from 1.
  [[nodiscard]] virtual unsigned number_of(const levada::delivery& d) const = 0;
  /// Has it checked again after one wait; or gives it up, after the last check.
  virtual void postpone(const levada::delivery& d, unsigned number) = 0;

  levada::bus& bus_;
  const std::string name_;
  const confirmed_function is_confirmed_;
  levada::table outcomes_;
  std::optional<levada::queue_consumer> checks_;
};

}  // namespace transaction_confirm
