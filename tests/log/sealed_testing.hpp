#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "log/sealer.hpp"
#include "log_testing.hpp"

namespace levada::log::test {

/// A record of the model: what is to be read, and which row began it.
struct model_record {
  std::uint64_t sequence = 0;
  seen_record record;
};

/// A journal whose rows are sealed by and by, beside a model of all records.
class sealed_fixture : public journal_fixture {
 protected:
  static constexpr std::int64_t now = 1'700'000'000'000'000;

  log_state& make_log(std::uint32_t id, const std::string& name, std::uint32_t partitions) {
    model_[id];
    return declare(id, name, partitions);
  }
  [[nodiscard]] std::filesystem::path directory() const { return segments_.path(); }

  /// Appends to journal and model.
  void publish(log_state& log, std::uint32_t partition, const std::vector<std::string>& values,
               std::int64_t time) {
    publish(log, partition, values, std::vector<std::int64_t>(values.size(), time));
  }
  /// The same with a time for each record; they need not grow.
  void publish(log_state& log, std::uint32_t partition, const std::vector<std::string>& values,
               const std::vector<std::int64_t>& times) {
    auto rows = encoded(log, partition, values, times[0]);
    std::size_t next = 0;
    storage::row_header header{};
    for (auto& row : rows) {
      const std::uint32_t count = row.header().count;
      if (count > 0) set_times(row, times, next);
      if (count == 0) {  // goes on with the record before it
        header = row.header();
        header.time_first = header.time_last = times[next - 1];
        row.set_header(header);
      }
      for (std::uint32_t i = 0; i < count; ++i, ++next) {
        model_[log.id()].push_back(
            {row.sequence, {partition, row.header().base_offset + i, times[next], values[next]}});
      }
    }
    ASSERT_EQ(next, values.size());
    store(rows);
    note(log, partition);
  }

  /// All that has been published.
  [[nodiscard]] const std::vector<model_record>& model(const log_state& log) const {
    return model_.at(log.id());
  }
  /// What is to be read of a partition.
  [[nodiscard]] std::vector<seen_record> expected(const log_state& log, std::uint32_t partition,
                                                  std::uint64_t from = 0,
                                                  std::uint64_t to = UINT64_MAX) const {
    std::vector<seen_record> all;
    for (const auto& m : model(log)) {
      if (m.record.partition == partition && m.record.offset >= from && m.record.offset < to) {
        all.push_back(m.record);
      }
    }
    return all;
  }
  /// What is to be read of all partitions, of rows `from` up to, not including, `until`.
  [[nodiscard]] std::vector<seen_record> expected_log(const log_state& log, std::uint64_t from,
                                                      std::uint64_t until) const {
    std::vector<seen_record> all;
    for (const auto& m : model(log)) {
      if (m.sequence >= from && m.sequence < until) all.push_back(m.record);
    }
    return all;
  }

  /// Of what is not sealed yet, everything up to row `last`.
  [[nodiscard]] seal_request request(std::uint64_t last) {
    seal_request r;
    r.target.sequence_first = sealed_ + 1;
    r.target.sequence_last = last;
    r.target.directory = directory();
    r.target.next_id = next_id_;
    r.own_segment_bytes = own_segment_bytes_;
    r.target.now = now;
    r.target.sync = false;
    r.begin_of = [this](std::uint32_t log, std::uint32_t partition) -> std::optional<std::uint64_t> {
      const auto* const state = find(log);
      if (state == nullptr || partition >= state->partitions()) return std::nullopt;
      return state->begin(partition);
    };
    return r;
  }
  [[nodiscard]] seal_request request() { return request(next_sequence() - 1); }
  /// Seals, and gives the logs what was sealed, as the owner of a store would.
  sealed_prefix seal_through(std::uint64_t last) {
    auto prefix = ok(seal(main(), request(last)));
    hand_out(prefix);
    return prefix;
  }
  sealed_prefix seal_all() { return seal_through(next_sequence() - 1); }
  void hand_out(const sealed_prefix& prefix) {
    next_id_ += static_cast<std::uint32_t>(prefix.segments.size());
    sealed_ = prefix.sequence_last;
    for (const auto& written : prefix.segments) {
      const auto segment = std::make_shared<const sealed_segment>(written, cache_);
      for (const auto& part : written.parts) {
        auto* const log = find(part.log);
        ASSERT_NE(log, nullptr);
        const std::lock_guard guard{log->mutex()};
        log->add_sealed({segment, part});
      }
    }
    for (const auto& [id, records] : model_) {
      log_state& log = *find(id);
      const std::lock_guard guard{log.mutex()};
      log.drop_rows_through(sealed_);
    }
  }
  [[nodiscard]] std::uint64_t sealed() const { return sealed_; }
  void set_own_segment_bytes(std::uint64_t bytes) { own_segment_bytes_ = bytes; }
  /// Erases the rows that are sealed, as the owner of a store would.
  void erase_sealed_rows() {
    for (; erased_ < sealed_; ++erased_) erase(erased_ + 1);
  }

  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& f : std::filesystem::directory_iterator{directory()}) {
      names.push_back(f.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  /// Sets the times of a row's records, which are the `next`-th and following.
  static void set_times(stored_row& row, const std::vector<std::int64_t>& times, std::size_t next) {
    auto header = row.header();
    header.time_first = header.time_last = times[next];
    if (header.continued == 0) {
      std::size_t at = sizeof header;
      for (std::uint32_t i = 0; i < header.count; ++i) {
        const auto delta = static_cast<std::int32_t>(times[next + i] - header.time_first);
        header.time_last = std::max(header.time_last, times[next + i]);
        std::memcpy(row.bytes.data() + at + offsetof(detail::record_header, time_delta), &delta,
                    sizeof delta);
        std::uint32_t size = 0;
        std::memcpy(&size, row.bytes.data() + at, sizeof size);
        at += detail::padded(size);
      }
    }
    row.set_header(header);
  }

  levada::test::temporary_directory segments_;
  std::shared_ptr<segment_cache> cache_ = std::make_shared<segment_cache>(segments_.path(), 2, true);
  std::map<std::uint32_t, std::vector<model_record>> model_;
  std::uint32_t next_id_ = 1;
  std::uint64_t own_segment_bytes_ = UINT64_MAX;
  std::uint64_t sealed_ = 0;
  std::uint64_t erased_ = 0;
};

/// Publishes at random to three logs.
class random_sealed_fixture : public sealed_fixture, public ::testing::WithParamInterface<std::uint32_t> {
 protected:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::string value() {
    static constexpr std::size_t sizes[] = {0, 8, 50, 300, 900, 1904, 1905, 2500, 4000, 9000};
    std::string text(below(4U) == 0 ? sizes[below(10U)] : below(60U), static_cast<char>('a' + below(26U)));
    if (!text.empty()) text[text.size() / 2] = static_cast<char>('A' + below(26U));
    if (below(150U) == 0) text.resize(60'000 + below(20'000U), 'L');
    return text;
  }
  /// Times do not fall.
  void fill(int commits) {
    for (int i = 0; i < commits; ++i) {
      if (below(3U) == 0) time_ += below(4U);
      std::vector<std::string> values(1 + (below(5U) == 0 ? below(30U) : below(2U)));
      for (auto& v : values) v = value();
      log_state& log = *all_[below(3U)];
      // Records of one commit may have times of their own.
      std::vector<std::int64_t> times;
      for (std::size_t k = 0; k < values.size(); ++k) {
        if (below(10U) == 0) ++time_;
        times.push_back(time_);
      }
      publish(log, below(log.partitions()), values, times);
    }
  }
  batch_builder::limits limits() {
    batch_builder::limits most;
    if (below(2U) == 0) most.records = 1 + below(20U);
    if (below(2U) == 0) most.bytes = 1 + below(6000U);
    return most;
  }

  std::mt19937 random_{GetParam()};
  std::int64_t time_ = 1000;
  log_state& orders_ = make_log(4, "orders", 3);
  log_state& other_ = make_log(5, "other", 1);
  log_state& third_ = make_log(9, "third", 2);
  std::vector<log_state*> all_{&orders_, &other_, &third_};
};

}  // namespace levada::log::test
