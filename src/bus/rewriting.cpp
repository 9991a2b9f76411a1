#include "bus/rewriting.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "bus/segment_place.hpp"
#include "log/sealed_reader.hpp"

namespace levada {
namespace {

/// Bytes of segments that are written anew in one go: sealing waits for it.
constexpr std::uint64_t piece_bytes_max = std::uint64_t{128} << 20;

/// How many sealings of small topics are merged into one: each record is written anew once for each power of
/// it (the tiers of a log-structured merge tree).
constexpr std::size_t merge_width = 8;

/// Below this it is not worth while to give back what is dead.
constexpr std::uint64_t dead_bytes_min = std::uint64_t{1} << 20;

/// Memory for the keys of one compaction. Where it is not enough, the rest follows the next time.
constexpr std::size_t keys_bytes_max = std::size_t{64} << 20;
constexpr std::size_t key_overhead = 64;

/// Puts new segments in the place of others.
class replace_intent final : public intent {
 public:
  /// `backfills_begun` as of when it was looked what queues need, if it was.
  replace_intent(std::vector<std::uint32_t> old, std::vector<storage::segment_entry> entries,
                 segment_place::files files, std::optional<std::uint64_t> backfills_begun)
      : old_{std::move(old)},
        entries_{std::move(entries)},
        files_{std::move(files)},
        backfills_begun_{backfills_begun} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    for (const std::uint32_t id : old_) {
      if (!scope.owner().segments().find(id))
        return error{errc::closed, "a segment has been dropped meanwhile"};
    }
    if (backfills_begun_ && *backfills_begun_ != scope.owner().backfills_begun())
      return error{errc::closed, "a queue needs what is past, since then"};
    for (const std::uint32_t id : old_) {
      if (auto erased = scope.written(storage::erase_segment(scope.txn(), scope.tables(), id)); !erased)
        return erased;
    }
    for (const auto& entry : entries_) {
      if (auto stored = scope.written(storage::put(scope.txn(), scope.tables(), entry)); !stored)
        return stored;
      scope.store().next_segment = std::max(scope.store().next_segment, entry.id + 1);
    }
    ++scope.store().layout;
    return {};
  }
  void applied(commit_scope& scope) noexcept override {
    scope.owner().replace_segments(old_, entries_, files_);
  }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  std::vector<std::uint32_t> old_;
  std::vector<storage::segment_entry> entries_;
  segment_place::files files_;
  const std::optional<std::uint64_t> backfills_begun_;
};

/// Notes how far a topic has been compacted.
class compacted_intent final : public intent {
 public:
  compacted_intent(topic_slot& topic, std::vector<std::uint64_t> compacted)
      : topic_{topic}, compacted_{std::move(compacted)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (topic_.state.deleted()) return {};
    storage::log_entry entry = topic_.entry;
    entry.compacted = compacted_;
    return scope.written(storage::put(scope.txn(), scope.tables(), entry));
  }
  void applied(commit_scope&) noexcept override {
    topic_.entry.compacted = compacted_;
    const std::lock_guard guard{topic_.state.mutex()};
    topic_.state.set_compacted(compacted_);
  }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  topic_slot& topic_;
  std::vector<std::uint64_t> compacted_;
};

/// What is known of a compacted topic when its compaction begins.
struct compaction {
  storage::log_policy policy;
  std::vector<std::uint64_t> compacted;              // by partition
  std::vector<std::vector<log::sealed_part>> parts;  // by partition
  std::uint64_t bytes = 0;
  std::uint64_t dirty_bytes = 0;

  explicit compaction(const log::log_state& log) {
    const std::shared_lock guard{log.mutex()};
    policy = log.policy();
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      compacted.push_back(log.compacted(p));
      parts.push_back(log.sealed(p));
      for (const auto& part : parts.back()) {
        bytes += part.where.bytes;
        if (part.where.end_offset > compacted.back()) dirty_bytes += part.where.bytes;
      }
    }
  }
  [[nodiscard]] bool due() const noexcept {
    constexpr double unit = 1e6;
    return policy.compact && dirty_bytes > 0 &&
           static_cast<double>(dirty_bytes) >= static_cast<double>(bytes) * policy.dirty_millionths / unit;
  }
};

/// The newest offset of each key in the part of a topic that has not been compacted yet.
class latest_offsets {
 public:
  /// Reads from where compaction ended the last time, as far as memory allows.
  static result<latest_offsets> read(const log::log_state& log, const compaction& topic) {
    latest_offsets found;
    found.keys_.resize(log.partitions());
    found.covered_ = topic.compacted;
    std::size_t bytes = 0;
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      auto& keys = found.keys_[p];
      for (const auto& part : topic.parts[p]) {
        if (part.where.end_offset <= topic.compacted[p]) continue;
        auto reader = log::part_reader::open(log, part, true);
        if (!reader) return reader.error();
        if (!*reader) return error{errc::closed, "a segment has been dropped meanwhile"};
        for (auto batch = (*reader)->find(topic.compacted[p]);; batch = (*reader)->next()) {
          if (!batch) return batch.error();
          if (!*batch) break;
          if (bytes > keys_bytes_max) return found;
          const std::byte* data = (*batch)->records;
          for (const auto& run : (*batch)->view.runs) {
            std::size_t at = 0;
            for (std::uint32_t i = 0; i < run.count; ++i) {
              const detail::encoded_record record{data + at};
              at += detail::size_of_record(data + at, run.size - at);
              if (!record.has_key()) continue;
              auto [place, added] = keys.try_emplace(std::string{record.key()}, 0);
              place->second = (*batch)->view.key.base_offset + run.offset_delta + i;
              if (added) bytes += record.key().size() + key_overhead;
            }
            data += run.size;
          }
          found.covered_[p] = (*batch)->view.header.end_offset;
        }
        found.covered_[p] = part.where.end_offset;
      }
    }
    return found;
  }

  /// The offset up to which a partition's keys are known.
  [[nodiscard]] const std::vector<std::uint64_t>& covered() const noexcept { return covered_; }
  [[nodiscard]] bool superseded(const log::record_in_question& r) const {
    const auto& keys = keys_[r.partition];
    const auto found = keys.find(std::string{r.record.key()});
    return found != keys.end() && r.offset < found->second;
  }

 private:
  std::vector<std::unordered_map<std::string, std::uint64_t>> keys_;  // by partition
  std::vector<std::uint64_t> covered_;
};

bool by_rows(const std::shared_ptr<const log::sealed_segment>& a,
             const std::shared_ptr<const log::sealed_segment>& b) {
  return std::tie(a->entry().sequence_first, a->entry().id) <
         std::tie(b->entry().sequence_first, b->entry().id);
}

}  // namespace

/// What every piece of work is done with.
struct rewriting::piece {
  const core::access& access;
  const std::function<bool()>& cancelled;
};

rewriting::segment_list rewriting::readable_segments() const {
  auto all = owner_.segments().all();
  std::erase_if(all, [this](const auto& s) { return unreadable_.contains(s->entry().id); });
  std::sort(all.begin(), all.end(), by_rows);
  return all;
}

std::uint64_t rewriting::live_bytes(const storage::segment_entry& segment) const {
  std::uint64_t live = 0;
  for (const auto& part : segment.parts) {
    const auto begin = owner_.begin_of(part.log, part.partition);
    if (!begin || part.end_offset <= *begin) continue;
    const double kept = static_cast<double>(part.end_offset - std::max(*begin, part.base_offset)) /
                        static_cast<double>(part.end_offset - part.base_offset);
    live += static_cast<std::uint64_t>(static_cast<double>(part.bytes) * kept);
  }
  return live;
}

rewriting::segment_list rewriting::mostly_dead() const {
  segment_list found;
  std::uint64_t bytes = 0;
  for (const auto& segment : readable_segments()) {
    const auto& entry = segment->entry();
    std::uint64_t all = 0;
    for (const auto& part : entry.parts) all += part.bytes;
    const std::uint64_t live = live_bytes(entry);
    if (all < dead_bytes_min || live > all / 2) continue;
    if (!found.empty() && bytes + live > piece_bytes_max) break;
    bytes += live;
    found.push_back(segment);
  }
  return found;
}

rewriting::segment_list rewriting::to_be_merged() const {
  // A run is what one sealing or one merge has made; segments of their own are no part of it.
  using run_key = std::pair<std::uint64_t, std::uint64_t>;
  std::map<std::uint32_t, std::map<run_key, segment_list>> generations;
  for (const auto& segment : readable_segments()) {
    const auto& entry = segment->entry();
    std::map<std::uint32_t, std::uint64_t> logs;
    for (const auto& part : entry.parts) logs[part.log] += part.bytes;
    const bool shared = std::any_of(logs.begin(), logs.end(), [this](const auto& log) {
      return log.second < owner_.options().segment_bytes_min;
    });
    if (shared) generations[entry.generation][{entry.sequence_first, entry.sequence_last}].push_back(segment);
  }
  for (const auto& [generation, runs] : generations) {
    if (runs.size() < merge_width) continue;
    segment_list found;
    std::uint64_t bytes = 0;
    std::size_t taken = 0;
    for (const auto& [key, segments] : runs) {
      if (taken++ == merge_width) break;
      for (const auto& s : segments) bytes += s->entry().file_bytes;
      found.insert(found.end(), segments.begin(), segments.end());
    }
    if (bytes <= piece_bytes_max) return found;
  }
  return {};
}

result<bool> rewriting::rewrite(const piece& p, const segment_list& sources, std::uint32_t generation,
                                const filter_map& filters, std::optional<std::uint64_t> backfills_begun) {
  const auto begun = owner_.time().steady();
  auto place = segment_place::open(owner_);
  if (!place) return place.error();
  log::rewrite_request request;
  request.sources = sources;
  request.target = place->target();
  request.target.generation = generation;
  request.own_segment_bytes = owner_.options().segment_bytes_min;
  request.find_log = [this](std::uint32_t id) -> std::shared_ptr<const log::log_state> {
    auto topic = owner_.find_topic(id);
    if (!topic) return nullptr;
    return {topic, &topic->state};
  };
  request.codec_of = [this](std::uint32_t id) { return owner_.codec_of(id); };
  request.cancelled = p.cancelled;
  request.filters = filters;
  auto written = log::rewrite(request);
  if (!written) {
    if (written.error() != errc::damaged) return written.error();
    // Reported, and left to whoever repairs the store: everything else goes on.
    for (const auto& s : sources) unreadable_.insert(s->entry().id);
    if (owner_.logger() != nullptr) owner_.logger()->error("levada: {}", written.error().message());
    return false;
  }
  if (!*written) return false;

  auto files = place->kept_open(**written);
  if (!files) return files.error();
  std::vector<std::uint32_t> old;
  for (const auto& s : sources) old.push_back(s->entry().id);
  replace_intent replacing{std::move(old), **written, std::move(*files), backfills_begun};
  auto done = place->hand_over(p.access, "rewrite segments", **written, replacing);
  if (!done && done.error() == errc::closed) return false;  // they have changed meanwhile
  if (!done) return done.error();
  owner_.counted().others.upkeep_runs.add_alone();
  owner_.counted().others.upkeep_duration.add_alone(owner_.time().steady() - begun);
  if (owner_.logger() != nullptr) {
    owner_.logger()->debug("levada: wrote {} segments of '{}' anew, {} are in their place", sources.size(),
                           owner_.store_name(), (*written)->size());
  }
  return true;
}

result<bool> rewriting::compact(const piece& p, const std::shared_ptr<topic_slot>& topic) {
  const compaction known{topic->state};
  if (!known.due() || uncompactable_.contains(topic->state.id())) return false;
  auto latest = latest_offsets::read(topic->state, known);
  if (!latest) {
    if (latest.error() == errc::closed) return false;
    if (latest.error() != errc::damaged) return latest.error();
    uncompactable_.insert(topic->state.id());
    if (owner_.logger() != nullptr) owner_.logger()->error("levada: {}", latest.error().message());
    return false;
  }
  const std::int64_t tombstones_from =
      owner_.bus_time() - static_cast<std::int64_t>(known.policy.tombstone_milliseconds) * 1000;
  filter_map filters;
  filters[topic->state.id()] = [&](const log::record_in_question& r) {
    if (!r.record.has_key()) return true;
    // What it deletes is gone for sure where an earlier compaction has been through.
    if (r.record.is_tombstone() && r.time < tombstones_from && r.offset < known.compacted[r.partition])
      return false;
    return !latest->superseded(r);
  };
  segment_list sources;
  std::uint64_t bytes = 0;
  const auto write_sources = [&]() -> result<bool> {
    auto done = rewrite(p, std::exchange(sources, {}), 1, filters);
    bytes = 0;
    return done;
  };
  for (const auto& segment : readable_segments()) {
    const auto& parts = segment->entry().parts;
    const bool touched = std::any_of(parts.begin(), parts.end(), [&](const auto& part) {
      return part.log == topic->state.id() && part.base_offset < latest->covered()[part.partition];
    });
    if (!touched) continue;
    if (!sources.empty() && bytes + segment->entry().file_bytes > piece_bytes_max) {
      if (auto done = write_sources(); !done || !*done) return done;
    }
    bytes += segment->entry().file_bytes;
    sources.push_back(segment);
  }
  if (!sources.empty()) {
    if (auto done = write_sources(); !done || !*done) return done;
  }
  compacted_intent noting{*topic, latest->covered()};
  if (auto done = owner_.run(p.access, "note compaction", noting); !done) return done.error();
  return true;
}

result<bool> rewriting::thin_out(const piece& p, const held_back& held) {
  const auto& exchange = held.exchange;
  const beginnings& needless = held.needless;
  if (exchange->state.deleted() || held.backfills_begun != owner_.backfills_begun()) return false;
  auto references = references_before(owner_, p.access, exchange->state.id(), needless);
  if (!references) return references.error();
  segment_list sources;
  std::uint64_t bytes = 0;
  for (const auto& segment : readable_segments()) {
    std::uint64_t records = 0;
    std::uint64_t referenced = 0;
    for (const auto& part : segment->entry().parts) {
      if (part.log != exchange->state.id() || part.end_offset > needless[part.partition] ||
          part.end_offset <= exchange->state.begin(part.partition)) {
        continue;
      }
      const auto& of = (*references)[part.partition];
      records += part.records;
      referenced += static_cast<std::uint64_t>(std::lower_bound(of.begin(), of.end(), part.end_offset) -
                                               std::lower_bound(of.begin(), of.end(), part.base_offset));
    }
    if (records == 0 || referenced * 2 > records) continue;
    if (!sources.empty() && bytes + segment->entry().file_bytes > piece_bytes_max) break;
    bytes += segment->entry().file_bytes;
    sources.push_back(segment);
  }
  if (sources.empty()) return false;
  filter_map filters;
  filters[exchange->state.id()] = [&references, &held](const log::record_in_question& r) {
    const auto& of = (*references)[r.partition];
    return r.offset >= held.needless[r.partition] || std::binary_search(of.begin(), of.end(), r.offset);
  };
  return rewrite(p, sources, 1, filters, held.backfills_begun);
}

result<bool> rewriting::run_some(const core::access& access, const std::vector<held_back>& held,
                                 const std::function<bool()>& cancelled) {
  const piece p{access, cancelled};
  if (const auto sources = mostly_dead(); !sources.empty()) {
    std::uint32_t generation = 0;
    for (const auto& s : sources) generation = std::max(generation, s->entry().generation);
    if (auto done = rewrite(p, sources, generation, {}); !done || *done) return done;
  }
  for (const auto& topic : owner_.all_topics()) {
    if (cancelled()) return false;
    if (topic->state.exchange() != 0) continue;
    if (auto done = compact(p, topic); !done || *done) return done;
  }
  for (const auto& exchange : held) {
    if (cancelled()) return false;
    if (auto done = thin_out(p, exchange); !done || *done) return done;
  }
  if (const auto sources = to_be_merged(); !sources.empty()) {
    return rewrite(p, sources, sources.front()->entry().generation + 1, {});
  }
  return false;
}

}  // namespace levada
