#include "bus/policy_change.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/add_intent.hpp"

namespace levada {
namespace {

/// After it, other rules hold for some queues.
class policy_intent : public catalog_intent {
 public:
  [[nodiscard]] const std::vector<std::shared_ptr<queue_slot>>& changed() const noexcept { return changed_; }

 protected:
  std::vector<std::shared_ptr<queue_slot>> changed_;
};

class put_policy final : public policy_intent {
 public:
  explicit put_policy(storage::policy_entry entry) : entry_{std::move(entry)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (const auto known = scope.owner().policies().find(entry_.by_operator, entry_.name)) {
      entry_.id = known->id;
    } else {
      auto id = scope.owner().take_id(scope);
      if (!id) return id.error();
      entry_.id = *id;
    }
    return scope.written(storage::put(scope.txn(), scope.tables(), entry_));
  }
  void applied(commit_scope& scope) noexcept override { changed_ = scope.owner().put(entry_); }

 private:
  storage::policy_entry entry_;
};

class remove_policy final : public policy_intent {
 public:
  remove_policy(bool by_operator, std::string_view name) : by_operator_{by_operator}, name_{name} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    const auto known = scope.owner().policies().find(by_operator_, name_);
    if (!known) return error{errc::unknown_policy, "there is none"};
    id_ = known->id;
    return scope.written(storage::erase_policy(scope.txn(), scope.tables(), id_));
  }
  void applied(commit_scope& scope) noexcept override { changed_ = scope.owner().remove_policy(id_); }

 private:
  const bool by_operator_;
  const std::string name_;
  std::uint32_t id_ = 0;
};

const char* kind_of_policy(bool by_operator) noexcept {
  return by_operator ? "operator policy" : "policy";
}

result<void> run_change(core& owner, const std::string& operation, policy_intent& intent) {
  if (auto done = owner.run(operation, intent); !done) return done;
  for (const auto& queue : intent.changed()) {
    owner.attends().note_use(*queue);  // where it expires now, its time begins (as in RabbitMQ)
    owner.attends().look_soon(queue);
    owner.backfills().look_soon(*queue);  // there may be room now
  }
  return {};
}

}  // namespace

result<void> set_policy(core& owner, storage::policy_entry entry) {
  const std::string operation = fmt::format("set {} '{}'", kind_of_policy(entry.by_operator), entry.name);
  put_policy intent{std::move(entry)};
  return run_change(owner, operation, intent);
}

result<void> delete_policy(core& owner, bool by_operator, std::string_view name) {
  remove_policy intent{by_operator, name};
  return run_change(owner, fmt::format("delete {} '{}'", kind_of_policy(by_operator), name), intent);
}

}  // namespace levada
