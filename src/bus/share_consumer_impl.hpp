#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bus/share_group.hpp"
#include "bus/transaction_part.hpp"

#include <levada/share_consumer.hpp>

namespace levada {

class share_consumer::impl : public std::enable_shared_from_this<impl> {
 public:
  [[nodiscard]] static result<std::shared_ptr<impl>> join(const std::shared_ptr<core>& owner,
                                                          std::string_view group,
                                                          const std::vector<std::string>& topics,
                                                          const share_consumer_options& options);
  impl(std::shared_ptr<core> owner, std::shared_ptr<share_group> group, std::shared_ptr<share_member> member)
      : owner_{std::move(owner)}, group_{std::move(group)}, member_{std::move(member)} {}
  ~impl() { close(); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  [[nodiscard]] result<std::vector<delivery>> poll(std::chrono::milliseconds timeout);
  void start_poll(std::chrono::milliseconds timeout, detail::completion<std::vector<delivery>> done);
  void wakeup() noexcept;
  [[nodiscard]] result<void> acknowledge(std::span<const delivery_tag> tags, acknowledge_type how);
  void start_acknowledge(std::span<const delivery_tag> tags, acknowledge_type how,
                         detail::completion<void> done);
  /// Acknowledges a record with a transaction.
  [[nodiscard]] result<std::unique_ptr<transaction_part>> make_part(delivery_tag tag, acknowledge_type how);

  [[nodiscard]] const std::string& group() const noexcept { return group_->group()->name; }
  void close() noexcept;

 private:
  class submitted_settlement;
  class settle_part;
  enum class waiting : bool { no, yes };

  [[nodiscard]] std::string operation(const char* verb) const;
  [[nodiscard]] result<core::access> enter(const char* verb) const;
  /// What a poll returns now; nothing where it has to wait, at most until `next_look`.
  [[nodiscard]] std::optional<result<std::vector<delivery>>> look(clock::steady_time deadline, waiting may,
                                                                  clock::steady_time& next_look);

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<share_group> group_;
  const std::shared_ptr<share_member> member_;
  std::atomic<bool> woken_{false};
  std::atomic<bool> closed_{false};
};

}  // namespace levada
