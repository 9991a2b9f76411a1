#include <levada/topic.hpp>

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "bus/pending.hpp"
#include "bus/topic_impl.hpp"
#include "log/record_codec.hpp"

namespace levada {
namespace {

std::string append_operation(const log::log_state& log) {
  return fmt::format("publish to topic '{}'", log.name());
}

/// Gives a record the time that it keeps, where its topic keeps such.
void set_time(const core& owner, const log::log_state& log, log::record_source& source) {
  if (!log.create_time()) {
    source.time.reset();
  } else if (!source.time) {
    source.time = owner.bus_time();
  }
}

/// Appends the rows of several partitions of one topic.
class append_intent final : public intent {
 public:
  append_intent(topic_slot& topic, std::vector<log::row_encoder*> rows, std::size_t cost)
      : intent{cost}, topic_{topic}, rows_{std::move(rows)}, base_offsets_(rows_.size()) {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (topic_.state.deleted()) {
      return error{errc::unknown_topic, fmt::format("topic '{}' has been deleted", topic_.state.name())};
    }
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      auto base = scope.append(topic_, *rows_[i]);
      if (!base) return base.error();
      base_offsets_[i] = *base;
    }
    time_ = scope.now();
    return {};
  }
  void applied(commit_scope&) noexcept override {}

  [[nodiscard]] offset base_offset(std::size_t i) const noexcept { return offset{base_offsets_[i]}; }
  [[nodiscard]] timestamp time() const noexcept { return timestamp{std::chrono::microseconds{time_}}; }

 private:
  topic_slot& topic_;
  std::vector<log::row_encoder*> rows_;
  std::vector<std::uint64_t> base_offsets_;
  std::int64_t time_ = 0;
};

error unknown_partition(const log::log_state& log, partition_id partition) {
  return {errc::unknown_partition,
          fmt::format("publish to topic '{}', partition {}: the topic has {} partition{}", log.name(),
                      partition.value(), log.partitions(), log.partitions() == 1 ? "" : "s")};
}

/// A record, ready to be appended.
class single_append {
 public:
  [[nodiscard]] static result<single_append> make(const core& owner, topic_slot& topic,
                                                  std::optional<partition_id> partition, const record& r) {
    const log::log_state& log = topic.state;
    if (partition && partition->value() >= log.partitions()) return unknown_partition(log, *partition);
    const auto extras = log::encode_extras({}, r);
    if (!extras) return extras.error();
    auto source = log::source_of(r, *extras);
    if (!source) return source.error();
    set_time(owner, log, *source);
    const auto fits =
        check_record_size(append_operation(log), source->size(), owner.options().record_bytes_max);
    if (!fits) return fits.error();
    if (!partition) {
      partition =
          r.key()
              ? partition_for_key(*r.key(), log.partitions())
              : partition_id{topic.next_partition.fetch_add(1, std::memory_order_relaxed) % log.partitions()};
    }
    single_append made{log, *partition, source->time};
    made.rows_.add(*source);
    made.rows_.finish();
    return made;
  }

  [[nodiscard]] std::vector<log::row_encoder*> rows() { return {&rows_}; }
  [[nodiscard]] std::size_t bytes() const noexcept { return rows_.bytes(); }
  [[nodiscard]] publish_receipt receipt(const append_intent& done) const {
    return {log_->name(), partition_id{rows_.partition()}, done.base_offset(0),
            time_ ? log::to_time(*time_) : done.time(), 0};
  }

 private:
  single_append(const log::log_state& log, partition_id partition, std::optional<std::int64_t> time)
      : log_{&log}, time_{time}, rows_{log.id(), partition.value()} {}

  const log::log_state* log_;
  std::optional<std::int64_t> time_;
  log::row_encoder rows_;
};

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

result<void> check_record_size(std::string_view operation, std::size_t size, std::size_t limit) {
  if (size <= limit) return {};
  return error{errc::record_too_large,
               fmt::format("{}: the record has {} bytes encoded, the limit is {}", operation, size, limit)};
}

// publish_batch

class publish_batch::impl {
 public:
  impl(std::shared_ptr<core> owner, std::shared_ptr<topic_slot> topic)
      : owner_{std::move(owner)},
        topic_{std::move(topic)},
        record_bytes_max_{owner_->options().record_bytes_max} {
    const std::uint32_t n = topic_->state.partitions();
    next_ = topic_->next_partition.fetch_add(1, std::memory_order_relaxed) % n;
    rows_.reserve(n);
    for (std::uint32_t p = 0; p < n; ++p) rows_.emplace_back(topic_->state.id(), p);
  }

  result<slot> add(std::optional<partition_id> partition, log::record_source source) {
    set_time(*owner_, topic_->state, source);
    const std::size_t size = source.size();
    if (size > record_bytes_max_) {
      return check_record_size(append_operation(topic_->state), size, record_bytes_max_).error();
    }
    if (bytes_ + size > batch_bytes_max) {
      return error{
          errc::batch_too_large,
          fmt::format(
              "publish to topic '{}': with this record the batch would have {} bytes, the limit is {}",
              topic_->state.name(), bytes_ + size, batch_bytes_max)};
    }
    const std::uint32_t n = topic_->state.partitions();
    std::uint32_t p = 0;
    if (partition) {
      p = partition->value();
      if (p >= n) return unknown_partition(topic_->state, *partition);
    } else if (source.has_key) {
      p = partition_for_key(source.key, n).value();
    } else {
      p = next_;
      next_ = next_ + 1 == n ? 0 : next_ + 1;
    }
    log::row_encoder& rows = rows_[p];
    const slot at{partition_id{p}, rows.records()};
    rows.add(source);
    bytes_ += size;
    ++records_;
    return at;
  }

  result<slot> add(std::optional<partition_id> partition, const record& r) {
    auto extras = log::encode_extras({}, r);
    if (!extras) return extras.error();
    auto source = log::source_of(r, *extras);
    if (!source) return source.error();
    return add(partition, *source);
  }

  /// Fails unless the batch was made for this topic.
  [[nodiscard]] result<void> check_target(const topic_slot& target) const {
    if (topic_.get() == &target) return {};
    return error{errc::invalid_argument, fmt::format("{}: the batch was made for topic '{}'",
                                                     append_operation(target.state), topic_->state.name())};
  }
  [[nodiscard]] std::vector<log::row_encoder*> finish() {
    std::vector<log::row_encoder*> used;
    for (auto& rows : rows_) {
      if (rows.records() == 0) continue;
      rows.finish();
      used.push_back(&rows);
    }
    return used;
  }
  void clear() noexcept {
    for (auto& rows : rows_) rows.clear();
    records_ = bytes_ = 0;
  }

  [[nodiscard]] std::size_t records() const noexcept { return records_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::shared_ptr<core> owner_;
  std::shared_ptr<topic_slot> topic_;
  std::size_t record_bytes_max_;
  std::vector<log::row_encoder> rows_;
  std::uint32_t next_ = 0;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
};

publish_batch::publish_batch(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
publish_batch::publish_batch(publish_batch&&) noexcept = default;
publish_batch& publish_batch::operator=(publish_batch&&) noexcept = default;
publish_batch::~publish_batch() = default;

result<publish_batch::slot> publish_batch::add(const record& r) {
  return impl_->add(std::nullopt, r);
}
result<publish_batch::slot> publish_batch::add(partition_id partition, const record& r) {
  return impl_->add(partition, r);
}
result<publish_batch::slot> publish_batch::add(std::string_view value) {
  return impl_->add(std::nullopt, log::record_source{.value = value});
}
result<publish_batch::slot> publish_batch::add(std::string_view key, std::string_view value) {
  if (key.size() > key_bytes_max) {
    return error{errc::field_too_long, fmt::format("encode record: the key has {} bytes, the limit is {}",
                                                   key.size(), key_bytes_max)};
  }
  return impl_->add(std::nullopt, log::record_source{.key = key, .value = value, .has_key = true});
}
result<publish_batch::slot> publish_batch::add(partition_id partition, std::string_view value) {
  return impl_->add(partition, log::record_source{.value = value});
}
std::size_t publish_batch::size() const noexcept {
  return impl_->records();
}
std::size_t publish_batch::bytes() const noexcept {
  return impl_->bytes();
}
void publish_batch::clear() noexcept {
  impl_->clear();
}

// topic

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
