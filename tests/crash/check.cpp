#include <crash/check.hpp>

#include <crash/comparison.hpp>
#include <crash/moments.hpp>
#include <crash/payload.hpp>
#include <crash/promises.hpp>
#include <crash/queueing_comparison.hpp>
#include <crash/queueing_victim.hpp>
#include <crash/store_content.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <levada/levada.hpp>

namespace levada::crash {
namespace {

constexpr std::chrono::milliseconds at_once{0};
constexpr std::size_t violations_max = 20;

bus_options settings(const check_options& options, bool create) {
  bus_options o;
  o.create = create;
  o.map_bytes_max = std::size_t{1} << 30;
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = 0;
  o.segment_bytes_min = 20'000;
  o.boot_id = options.boot_id;
  if (options.mode == durability::checkpointed) o.durability = checkpointed{std::chrono::hours{1}};
  return o;
}

/// What a history says of openings and closings.
struct lives {
  bool with_checkpoints = false;
  /// Whether its end finds the bus open, with checkpoints.
  bool open_with_checkpoints = false;
  /// Whether it was being opened, perhaps to be taken back.
  bool being_opened = false;
  std::uint32_t epoch = 0;
  /// The time when it ended, of a history of queues.
  std::optional<std::uint64_t> clock;

  explicit lives(const history& lines) {
    for (const std::string& line : lines) {
      const event e = from_line(line);
      if (const auto* const begun = std::get_if<opening>(&e)) {
        with_checkpoints = with_checkpoints || begun->mode == durability::checkpointed;
        open_with_checkpoints = false;
        being_opened = true;
      } else if (const auto* const now = std::get_if<opened>(&e)) {
        open_with_checkpoints = now->mode == durability::checkpointed;
        being_opened = false;
        epoch = std::max(epoch, now->epoch);
      } else if (std::holds_alternative<closing>(e)) {
        open_with_checkpoints = false;
      } else if (const auto* const time = std::get_if<clock_at>(&e)) {
        clock = time->milliseconds;
      }
    }
  }
};

/// One check of one store. Works through the bus as any program would.
class inspection {
 public:
  inspection(const std::filesystem::path& directory, const history& lines, const check_options& options)
      : directory_{directory},
        lines_{lines},
        options_{options},
        promised_{read_promises(lines)},
        lives_{lines} {
    if (lives_.clock) {
      clock_ =
          std::make_shared<manual_clock>(timestamp{clock_base} + std::chrono::milliseconds{*lives_.clock});
    }
  }

  check_outcome run() {
    const bool may_need_recovery =
        lives_.with_checkpoints && (options_.of == aftermath::power_cut || lives_.being_opened);
    if (promised_.store || std::filesystem::exists(directory_)) {
      examine_files("before opening", may_need_recovery);
    }
    check_outcome outcome;
    outcome.lines = lines_.size();
    auto opened = open(!promised_.store);
    if (!opened) {
      violation("open: {}", opened.error().message());
      outcome.violations = std::move(violations_);
      return outcome;
    }
    bus b = std::move(*opened);
    try {
      if (options_.seal) b.maintain().value();
      const store_content found = clock_ ? read_queueing(b, *clock_) : read_store(b, targets());
      compare_epochs(found.epoch);
      outcome.in_queues = count_findings(found);
      outcome.lines = find_moment(found);
      if (options_.use_afterwards && clock_) {
        drain_queues(b, *clock_);
        if (options_.seal) b.maintain().value();
        b.close().value();
        examine_files("after draining", false);
        b = open(false).value();
        for (const queue_info& q : b.queues().value()) {
          if (q.messages > 0) violation("queue '{}' was drained, and holds {} messages", q.name, q.messages);
        }
      } else if (options_.use_afterwards) {
        for (const auto& [name, log] : found.logs) expected_[name] = log.partitions;
        use(b, found);
        if (options_.seal) {
          b.maintain().value();
          read_again(b, "after maintenance");
          use(b, found);
          b.maintain().value();
        }
        b.close().value();
        b = open(false).value();
        read_again(b, "after opening once more");
      }
      b.close().value();
      const auto segments = examine_files("after closing", false);
      if (segments) examine_names(*segments);
    } catch (const std::exception& e) {
      violation("a call failed: {}", e.what());
    }
    outcome.violations = std::move(violations_);
    return outcome;
  }

 private:
  [[nodiscard]] result<bus> open(bool create) const {
    bus_options o = settings(options_, create);
    o.clock = clock_;
    return bus::open(directory_, o);
  }

  template <class... Args>
  void violation(fmt::format_string<Args...> format, Args&&... args) {
    if (violations_.size() < violations_max) {
      violations_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }

  /// Returns how many segments the store has, if that can be told.
  std::optional<std::uint64_t> examine_files(const char* when, bool may_need_recovery) {
    attach_options o;
    o.map_bytes_max = settings(options_, false).map_bytes_max;
    o.boot_id = options_.boot_id;
    const auto report = check_store(directory_, o);
    if (!report) {
      if (may_need_recovery && report.error() == errc::recovery_needed) return std::nullopt;
      violation("check_store {}: {}", when, report.error().message());
      return std::nullopt;
    }
    for (const store_problem& p : report->problems) {
      violation("check_store {}: {}: {}", when, p.where, p.what);
    }
    return report->segments;
  }

  /// Nothing may pile up: what is not part of the store has been removed.
  void examine_names(std::uint64_t segments) {
    std::uint64_t found = 0;
    for (const auto& file : std::filesystem::directory_iterator{directory_ / "segments"}) {
      if (file.path().extension() == ".seg") {
        ++found;
      } else {
        violation("'{}' is left among the segments", file.path().filename().string());
      }
    }
    if (found != segments) violation("there are {} files of segments for {} segments", found, segments);
  }

  /// Only queues that stood before the first message can be compared with what was sent.
  [[nodiscard]] std::set<std::string> targets() const {
    std::set<std::string> queues;
    for (const auto& [s, sent] : promised_.records) queues.insert(sent.queues.begin(), sent.queues.end());
    return queues;
  }

  /// Readers of what was undone are told by the epoch.
  void compare_epochs(std::uint32_t now) {
    const bool taken_back = options_.of == aftermath::power_cut && lives_.open_with_checkpoints;
    const std::uint32_t least = lives_.epoch + (taken_back ? 1 : 0);
    if (now < least) violation("the epoch is {}; it was {}, so {} was to come", now, lives_.epoch, least);
  }

  /// Finds the first moment at which all of this was promised and nothing else; returns how many lines had
  /// been told then.
  std::size_t find_moment(const store_content& found) {
    const std::size_t certain = options_.of == aftermath::power_cut ? lines_certain(lines_) : lines_.size();
    std::size_t first = std::max(certain, lines_until_sent(found));
    promises promised;
    for (std::size_t i = 0; i < first; ++i) add(promised, lines_[i]);
    std::vector<std::string> nearest;
    std::size_t nearest_moment = first;
    for (std::size_t moment = first;; ++moment) {
      auto differences = compare(found, promised);
      if (differences.empty()) return moment;
      if (moment == first || differences.size() < nearest.size()) {
        nearest = std::move(differences);
        nearest_moment = moment;
      }
      if (moment == lines_.size()) break;
      add(promised, lines_[moment]);
    }
    if (first < lines_.size()) {
      violation("it is the store of no moment from line {} to line {}; the nearest is line {}", first,
                lines_.size(), nearest_moment);
    }
    for (const std::string& difference : nearest) violation("{}", difference);
    return nearest_moment;
  }

  /// How many lines had been told when the last of the records was being sent.
  [[nodiscard]] std::size_t lines_until_sent(const store_content& found) const {
    std::set<serial> stored_records;
    for (const auto& [name, log] : found.logs) {
      stored_records.insert(log.in_order.begin(), log.in_order.end());
    }
    for (const auto& [queue, messages] : found.messages) {
      for (const found_message& m : messages) {
        if (m.record) stored_records.insert(*m.record);
      }
    }
    std::size_t last = 0;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const event e = from_line(lines_[i]);
      const auto* const sent = std::get_if<sending>(&e);
      if (sent != nullptr && stored_records.contains(sent->record)) last = i + 1;
    }
    return last;
  }

  /// A store that has survived can be used.
  void use(bus& b, const store_content& found) {
    static_cast<void>(b.declare_topic("after-the-crash").value());
    expected_.try_emplace("after-the-crash", 1);
    for (auto& [name, partitions] : expected_) {
      const auto log = b.topic(name);
      if (!log) continue;  // an exchange's
      for (std::uint32_t p = 0; p < partitions.size(); ++p) {
        publish_expecting_the_end(*log, partition_id{p}, partitions[p]);
      }
    }
    for (const std::string& queue : found.queues) {
      auto taker = b.consume(queue).value();
      if (const auto d = taker.receive(at_once).value()) taker.ack(*d).value();
    }
  }

  void publish_expecting_the_end(const topic& t, partition_id where, found_partition& expected) {
    const std::string value = make_payload(++used_, 3'000);
    const auto receipt = t.publish(where, record{value}).value();
    if (receipt.offset.value() != expected.end) {
      violation("{} partition {}: the next record has offset {}, the log ended at {}", t.name(),
                where.value(), receipt.offset.value(), expected.end);
    }
    found_record& r = expected.records[expected.end];
    r.hash = fingerprint({}, {}, value);
    ++expected.end;
  }

  /// Whatever has been read or published stands where it stood, or has been given up by the rules.
  void read_again(bus& b, const char* when) {
    for (const topic_info& t : b.topics().value()) {
      const auto before = expected_.find(t.name);
      if (before == expected_.end()) {
        violation("{}: it has come up {}", t.name, when);
        continue;
      }
      const auto rules = promised_.logs.find(t.name);
      const found_log now = read_log(b, t);
      for (std::uint32_t p = 0; p < now.partitions.size(); ++p) {
        const bool same = follows(before->second.at(p), now.partitions[p],
                                  rules == promised_.logs.end() ? log_rules{} : rules->second);
        if (!same) violation("{} partition {}: {}, other records are read than before", t.name, p, when);
      }
      before->second = now.partitions;
    }
  }

  static bool follows(const found_partition& before, const found_partition& now, const log_rules& rules) {
    if (now.end != before.end || !now.disorder.empty()) return false;
    if (now.begin < before.begin || (now.begin > before.begin && !rules.newest)) return false;
    for (const auto& [offset, r] : now.records) {
      const auto old = before.records.find(offset);
      if (old == before.records.end() || old->second.hash != r.hash) return false;
    }
    return std::all_of(before.records.begin(), before.records.end(), [&](const auto& entry) {
      const auto offset = entry.first;
      const auto& r = entry.second;
      if (now.records.contains(offset)) return true;
      if (offset < now.begin) return true;
      if (rules.messages && rules.newest && offset + *rules.newest < now.end) return true;
      if (!rules.compacted || !r.key) return false;
      return r.tombstone || std::any_of(now.records.upper_bound(offset), now.records.end(),
                                        [&](const auto& later) { return later.second.key == r.key; });
    });
  }

  const std::filesystem::path& directory_;
  const history& lines_;
  const check_options& options_;
  const promises promised_;
  const lives lives_;
  /// Of a history of queues.
  std::shared_ptr<manual_clock> clock_;
  std::vector<std::string> violations_;
  /// What is to be read, by log and partition.
  std::map<std::string, std::vector<found_partition>> expected_;
  serial used_ = 0;
};

}  // namespace

check_outcome check(const std::filesystem::path& directory, const history& lines,
                    const check_options& options) {
  return inspection{directory, lines, options}.run();
}

}  // namespace levada::crash
