#include <crash/check.hpp>

#include <crash/payload.hpp>
#include <crash/promises.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <levada/levada.hpp>

namespace levada::crash {
namespace {

constexpr std::chrono::milliseconds at_once{0};
constexpr std::size_t violations_max = 20;

bus_options settings(bool create) {
  bus_options o;
  o.create = create;
  o.map_bytes_max = std::size_t{1} << 30;
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = 0;
  o.segment_bytes_min = 20'000;
  return o;
}

/// One check of one store. Works through the bus as any program would.
class inspection {
 public:
  inspection(const std::filesystem::path& directory, const promises& promised)
      : directory_{directory}, promised_{promised} {}

  std::vector<std::string> run(const check_options& options) {
    if (promised_.store || std::filesystem::exists(directory_)) examine_files("before opening");
    auto opened = bus::open(directory_, settings(!promised_.store));
    if (!opened) {
      violation("open: {}", opened.error().message());
      return std::move(violations_);
    }
    bus b = std::move(*opened);
    try {
      if (options.seal) b.maintain().value();
      compare_objects(b);
      compare_logs(b);
      compare_commits(b);
      compare_queues(b);
      if (options.use_afterwards) {
        use(b);
        if (options.seal) {
          b.maintain().value();
          read_again(b, "after sealing");
          use(b);
          b.maintain().value();
        }
        b.close().value();
        b = bus::open(directory_, settings(false)).value();
        read_again(b, "after opening once more");
      }
      b.close().value();
      const auto segments = examine_files("after closing");
      if (segments) examine_names(*segments);
    } catch (const exception& e) {
      violation("a call failed: {}", e.what());
    }
    return std::move(violations_);
  }

 private:
  template <class... Args>
  void violation(fmt::format_string<Args...> format, Args&&... args) {
    if (violations_.size() < violations_max) {
      violations_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }

  /// Returns how many segments the store has, if that can be told.
  std::optional<std::uint64_t> examine_files(const char* when) {
    attach_options o;
    o.map_bytes_max = settings(false).map_bytes_max;
    const auto report = check_store(directory_, o);
    if (!report) {
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

  void compare_objects(bus& b) {
    std::set<std::string> found;
    for (const topic_info& t : b.topics().value()) {
      logs_.insert(t.name);
      ends_[t.name] = t.partitions;
      if (!t.is_exchange) found.insert(topic_object(t.name, static_cast<std::uint32_t>(t.partitions.size())));
    }
    for (const exchange_info& e : b.exchanges().value()) found.insert(exchange_object(e.name, e.partitions));
    for (const queue_info& q : b.queues().value()) {
      queues_.insert(q.name);
      found.insert(queue_object(q.name));
      if (q.exclusive) violation("anonymous queue '{}' has outlived its handle", q.name);
    }
    for (const binding_info& i : b.bindings().value()) {
      found.insert(binding_object(i.exchange, i.queue, i.key));
    }
    for (const auto& [object, state] : promised_.objects) {
      if (state == presence::present && !found.contains(object)) violation("'{}' is gone", object);
      if (state == presence::absent && found.contains(object)) violation("'{}' has come back", object);
    }
  }

  void compare_logs(bus& b) {
    for (const std::string& log : logs_) read_log(b, log);
    std::map<serial, std::pair<std::size_t, std::size_t>> batches;  // sent and found
    for (const auto& [s, sent] : promised_.records) {
      const bool found = found_.contains(s);
      if (sent.acknowledged && !found) {
        violation("record {} is lost: {} partition {} offset {} was acknowledged", s, sent.log,
                  sent.partition, sent.offset);
      } else if (sent.seen && !found) {
        violation("record {} is lost: it was delivered", s);
      }
      auto& counts = batches[sent.batch];
      ++counts.first;
      counts.second += found ? 1 : 0;
    }
    for (const auto& [batch, counts] : batches) {
      if (counts.second == 0 || counts.second == counts.first) continue;
      violation("of the batch that begins with record {}, {} of {} records are stored", batch, counts.second,
                counts.first);
    }
  }

  /// Reads all partitions in the order of commits.
  void read_log(bus& b, const std::string& log) {
    struct partition_state {
      std::uint64_t next = 0;
      timestamp time{};
      std::map<std::uint32_t, serial> newest;  // by producer
    };
    std::map<std::uint32_t, partition_state> partitions;
    replay pass = b.replay(log).value();
    for (auto batch = pass.next().value(); !batch.empty(); batch = pass.next().value()) {
      for (const record_view& r : batch) {
        partition_state& at = partitions[r.partition().value()];
        const auto where =
            fmt::format("{} partition {} offset {}", log, r.partition().value(), r.offset().value());
        if (r.offset().value() != at.next) violation("{}: offset {} was to come", where, at.next);
        at.next = r.offset().value() + 1;
        if (r.time() < at.time) violation("{}: its time is before its predecessor's", where);
        at.time = r.time();
        const auto s = serial_of(r.value());
        if (!s) {
          violation("{}: nobody sent these {} bytes", where, r.value().size());
          continue;
        }
        serial& newest = at.newest.try_emplace(producer_of(*s), 0).first->second;
        if (*s <= newest) violation("{}: record {} stands behind record {}", where, *s, newest);
        newest = *s;
        compare_record(r, *s, where);
        contents_[log][r.partition().value()].push_back(fingerprint(r.key(), r.routing_key(), r.value()));
        in_order_[log].push_back(*s);
      }
    }
    for (const partition_info& p : ends_[log]) {
      const std::uint64_t read = partitions[p.id.value()].next;
      if (p.end.value() != read) {
        violation("{} partition {}: it ends at {}, reading ended at {}", log, p.id.value(), p.end.value(),
                  read);
      }
    }
  }

  void compare_record(const record_view& r, serial s, const std::string& where) {
    if (!found_.insert(s).second) violation("{}: record {} is stored twice", where, s);
    const auto sent = promised_.records.find(s);
    if (sent == promised_.records.end()) return violation("{}: record {} was never sent", where, s);
    if (sent->second.log != r.topic()) violation("{}: record {} was sent to {}", where, s, sent->second.log);
    if (sent->second.hash != fingerprint(r.key(), r.routing_key(), r.value())) {
      violation("{}: record {} does not have the bytes that were sent", where, s);
    }
    if (sent->second.acknowledged &&
        (sent->second.partition != r.partition().value() || sent->second.offset != r.offset().value())) {
      violation("{}: record {} was acknowledged at partition {} offset {}", where, s, sent->second.partition,
                sent->second.offset);
    }
  }

  void compare_commits(bus& b) {
    std::map<std::tuple<std::string, std::string, std::uint32_t>, group_partition_info> stored_commits;
    for (const group_info& g : b.groups().value()) {
      for (const group_partition_info& p : g.partitions) {
        if (!p.committed) continue;
        if (p.committed->value() > p.end.value()) {
          violation("group '{}', {} partition {}: {} is committed, the log ends at {}", g.name, p.where.topic,
                    p.where.partition.value(), p.committed->value(), p.end.value());
        }
        stored_commits[{g.name, p.where.topic, p.where.partition.value()}] = p;
      }
    }
    for (const auto& [where, commits] : promised_.commits) {
      const auto& [group, log, partition] = where;
      const auto name = fmt::format("group '{}', {} partition {}", group, log, partition);
      const auto found = stored_commits.find(where);
      if (found == stored_commits.end()) {
        if (commits.acknowledged) {
          violation("{}: offset {} was committed and is gone", name, *commits.acknowledged);
        }
        continue;
      }
      const std::uint64_t next = found->second.committed->value();
      if (commits.acknowledged && next < *commits.acknowledged) {
        violation("{}: offset {} was committed and has gone back to {}", name, *commits.acknowledged, next);
      } else if (next != commits.acknowledged && !commits.unknown.contains(next)) {
        violation("{}: nobody committed offset {}", name, next);
      }
    }
  }

  void compare_queues(bus& b) {
    // Only queues that stood before the first message can be compared with what was sent.
    std::set<std::string> targets;
    for (const auto& [s, sent] : promised_.records) targets.insert(sent.queues.begin(), sent.queues.end());
    for (const std::string& queue : targets) {
      if (queues_.contains(queue)) compare_queue(b, queue);
    }
  }

  void compare_queue(bus& b, const std::string& queue) {
    const auto state_of = [&](serial s) {
      const auto found = promised_.messages.find({queue, s});
      return found == promised_.messages.end() ? message_state{} : found->second;
    };
    std::vector<serial> delivered;
    auto taker = b.consume(queue, {.prefetch = 0}).value();
    while (const auto d = taker.receive(at_once).value()) {
      const auto s = serial_of(d->record().value());
      if (!s) {
        violation("queue '{}': a delivery has bytes that nobody sent", queue);
        continue;
      }
      delivered.push_back(*s);
      const message_state state = state_of(*s);
      if (state.settled) violation("queue '{}': record {} was settled and has come back", queue, *s);
      if (state.received && !d->redelivered()) {
        violation("queue '{}': record {} was delivered before and is not flagged", queue, *s);
      }
    }

    // What must be there, in the order of commits, and what may.
    std::map<serial, std::size_t> place;
    std::set<serial> missing;
    for (const std::string& log : logs_) {
      for (const serial s : in_order_[log]) {
        const auto sent = promised_.records.find(s);
        if (sent == promised_.records.end()) continue;
        const auto& queues = sent->second.queues;
        if (std::find(queues.begin(), queues.end(), queue) == queues.end()) continue;
        place.emplace(s, place.size());
        if (!state_of(s).settling && !state_of(s).settled) missing.insert(s);
      }
    }
    std::optional<std::size_t> before;
    for (const serial s : delivered) {
      missing.erase(s);
      const auto found = place.find(s);
      if (found == place.end()) {
        violation("queue '{}': record {} does not belong there", queue, s);
        continue;
      }
      if (before && found->second <= *before) violation("queue '{}': record {} is out of order", queue, s);
      before = found->second;
    }
    for (const serial s : missing) violation("queue '{}': record {} is not delivered again", queue, s);
  }

  /// A store that has survived can be used.
  void use(bus& b) {
    publish_expecting_the_end(b.declare_topic("after-the-crash").value(), partition_id{0});
    for (const std::string& log : logs_) {
      if (!b.topic(log)) continue;
      const std::uint32_t partitions = b.topic(log)->partitions();
      for (std::uint32_t p = 0; p < partitions; ++p) {
        publish_expecting_the_end(b.topic(log).value(), partition_id{p});
      }
    }
    for (const std::string& queue : queues_) {
      auto taker = b.consume(queue).value();
      if (const auto d = taker.receive(at_once).value()) taker.ack(*d).value();
    }
  }

  void publish_expecting_the_end(const topic& t, partition_id where) {
    const std::string value = make_payload(++used_, 3'000);
    const auto receipt = t.publish(where, record{value}).value();
    auto& content = contents_[t.name()][where.value()];
    if (receipt.offset.value() != content.size()) {
      violation("{} partition {}: the next record has offset {}, the log ended at {}", t.name(),
                where.value(), receipt.offset.value(), content.size());
    }
    content.push_back(fingerprint({}, {}, value));
  }

  /// Whatever has been read or published stands where it stood.
  void read_again(bus& b, const char* when) {
    for (const auto& [log, before] : contents_) {
      log_content now;
      replay pass = b.replay(log).value();
      for (auto batch = pass.next().value(); !batch.empty(); batch = pass.next().value()) {
        for (const record_view& r : batch) {
          now[r.partition().value()].push_back(fingerprint(r.key(), r.routing_key(), r.value()));
        }
      }
      if (now != before) violation("{}: {}, other records are read than before", log, when);
    }
  }

  const std::filesystem::path& directory_;
  const promises& promised_;
  std::vector<std::string> violations_;
  std::set<std::string> logs_;
  std::set<std::string> queues_;
  std::map<std::string, std::vector<partition_info>> ends_;
  std::set<serial> found_;
  std::map<std::string, std::vector<serial>> in_order_;
  /// Fingerprints by partition, from offset 0 on.
  using log_content = std::map<std::uint32_t, std::vector<std::uint64_t>>;
  std::map<std::string, log_content> contents_;
  serial used_ = 0;
};

}  // namespace

std::vector<std::string> check(const std::filesystem::path& directory, const history& lines,
                               const check_options& options) {
  const promises promised = read_promises(lines);
  return inspection{directory, promised}.run(options);
}

}  // namespace levada::crash
