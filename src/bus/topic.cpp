#include <levada/topic.hpp>

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "bus/append.hpp"
#include "bus/pending.hpp"
#include "bus/publish_batch_impl.hpp"
#include "bus/topic_impl.hpp"

namespace levada {
namespace {

batch_receipt batch_receipt_of(const log::log_state& log, const std::vector<log::row_encoder*>& rows,
                               const append_intent& done) {
  batch_receipt receipt{log.name(), {}, done.time()};
  for (std::size_t i = 0; i < rows.size(); ++i)
    receipt.ranges.push_back({partition_id{rows[i]->partition()}, done.base_offset(i), rows[i]->records()});
  return receipt;
}

/// A batch, ready to be appended.
struct batch_append {
  publish_batch batch;  // owns the rows
  std::vector<log::row_encoder*> all_rows;
  std::size_t all_bytes;
  const log::log_state* log;

  [[nodiscard]] std::vector<log::row_encoder*> rows() { return all_rows; }
  [[nodiscard]] std::size_t bytes() const noexcept { return all_bytes; }
  [[nodiscard]] batch_receipt receipt(const append_intent& done) const {
    return batch_receipt_of(*log, all_rows, done);
  }
};

/// An append that nobody waits for.
template <class Content, class Receipt>
class submitted_append final : public intent {
 public:
  submitted_append(std::shared_ptr<topic_slot> topic, Content content, pending<Receipt> answer)
      : intent{content.bytes()},
        topic_{std::move(topic)},
        content_{std::move(content)},
        append_{*topic_, content_.rows(), content_.bytes()},
        answer_{std::move(answer)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override { return append_.execute(scope); }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    answer_.answer(outcome ? result<Receipt>{content_.receipt(append_)} : outcome.error());
  }

 private:
  const std::shared_ptr<topic_slot> topic_;
  Content content_;
  append_intent append_;
  pending<Receipt> answer_;
};

}  // namespace

topic::topic(std::shared_ptr<const impl> self) noexcept : impl_{std::move(self)} {}
topic::topic(const topic&) noexcept = default;
topic::topic(topic&&) noexcept = default;
topic& topic::operator=(const topic&) noexcept = default;
topic& topic::operator=(topic&&) noexcept = default;
topic::~topic() = default;

const std::string& topic::name() const noexcept {
  return impl_->slot->state.name();
}
std::uint32_t topic::partitions() const noexcept {
  return impl_->slot->state.partitions();
}

result<publish_receipt> topic::publish(const record& r) const {
  return impl_->publish(std::nullopt, r);
}

result<publish_receipt> topic::publish(partition_id partition, const record& r) const {
  return impl_->publish(partition, r);
}

result<publish_receipt> topic::impl::publish(std::optional<partition_id> partition, const record& r) const {
  auto content = single_append::make(*owner, *slot, partition, r);
  if (!content) return content.error();
  append_intent append{*slot, content->rows(), content->bytes()};
  if (auto done = owner->run(append_operation(slot->state), append); !done) return done.error();
  return content->receipt(append);
}

result<batch_receipt> topic::publish(publish_batch& batch) const {
  topic_slot& slot = *impl_->slot;
  if (auto fits = batch.impl_->check_target(slot); !fits) return fits.error();
  const auto rows = batch.impl_->finish();
  append_intent append{slot, rows, batch.impl_->bytes()};
  if (auto done = impl_->owner->run(append_operation(slot.state), append); !done) return done.error();
  auto receipt = batch_receipt_of(slot.state, rows, append);
  batch.clear();
  return receipt;
}

void topic::start_publish(const std::shared_ptr<const impl>& self, std::optional<partition_id> partition,
                          const record& r, detail::completion<publish_receipt> done) {
  pending<publish_receipt> answer{std::move(done), *self->owner};
  auto content = single_append::make(*self->owner, *self->slot, partition, r);
  if (!content) {
    answer.answer(content.error());
    return;
  }
  self->owner->submit(append_operation(self->slot->state),
                      std::make_unique<submitted_append<single_append, publish_receipt>>(
                          self->slot, std::move(*content), std::move(answer)));
}

void topic::start_publish(const std::shared_ptr<const impl>& self, publish_batch batch,
                          detail::completion<batch_receipt> done) {
  pending<batch_receipt> answer{std::move(done), *self->owner};
  if (auto fits = batch.impl_->check_target(*self->slot); !fits) {
    answer.answer(fits.error());
    return;
  }
  auto rows = batch.impl_->finish();
  const std::size_t bytes = batch.impl_->bytes();
  self->owner->submit(
      append_operation(self->slot->state),
      std::make_unique<submitted_append<batch_append, batch_receipt>>(
          self->slot, batch_append{std::move(batch), std::move(rows), bytes, &self->slot->state},
          std::move(answer)));
}

publish_batch topic::make_batch() const {
  return publish_batch{std::make_unique<publish_batch::impl>(impl_->owner, impl_->slot)};
}

}  // namespace levada
