// What publishers notice when another topic is deleted, whose records stand between theirs, and its space is
// given back. A second store, in which nothing is deleted, does the same work in turn.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr std::uint32_t partitions = 2;
constexpr std::size_t other_topics = 4;
constexpr std::chrono::seconds patience{60};
constexpr double rate_target = 0.9;

/// A store with a topic to be deleted between others.
class shared_store {
 public:
  explicit shared_store(std::filesystem::path directory)
      : directory_{std::move(directory)},
        bus_{bus::open(directory_).value()},
        victim_{bus_.declare_topic("victim", {.partitions = partitions}).value()},
        victim_batch_{victim_.make_batch()} {
    for (std::size_t i = 0; i < other_topics; ++i) {
      others_.push_back(bus_.declare_topic(fmt::format("other {}", i), {.partitions = partitions}).value());
      batches_.push_back(others_.back().make_batch());
    }
  }

  /// Publishes this many bytes to the topic to be deleted, and as many, commit by commit in between, to the
  /// others.
  void fill(std::uint64_t bytes) {
    for (std::uint64_t done = 0; done < bytes;) {
      stop_if_asked();
      add_records(victim_batch_, records_per_group);
      done += victim_batch_.bytes();
      (void)victim_.publish(victim_batch_).value();
      publish_others(1);
    }
    settle();
  }

  /// Publishes to the others in turn and returns how long that took.
  double publish_others(std::size_t groups) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < groups; ++i) {
      const std::size_t which = turn_++ % other_topics;
      add_records(batches_[which], records_per_group);
      (void)others_[which].publish(batches_[which]).value();
    }
    return std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
  }

  /// Waits until the background has nothing to do.
  void settle() { bus_.maintain().value(); }
  void delete_victim() { bus_.delete_topic("victim").value(); }
  [[nodiscard]] std::vector<std::filesystem::path> segments() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{directory_ / "segments"}) {
      files.push_back(entry.path());
    }
    return files;
  }
  void close() { bus_.close().value(); }

 private:
  std::filesystem::path directory_;
  bus bus_;
  topic victim_;
  publish_batch victim_batch_;
  std::vector<topic> others_;
  std::vector<publish_batch> batches_;
  std::size_t turn_ = 0;
};

/// Times of equal work, on the store of interest and on the other.
struct times {
  double subject = 0;
  double control = 0;
  std::vector<double> ratios;  // rates, of single rounds

  void add(double on_subject, double on_control) {
    subject += on_subject;
    control += on_control;
    ratios.push_back(on_control / on_subject);
  }
  [[nodiscard]] double ratio() const { return control / subject; }
};

/// Rounds in changing order; whatever a slice made due is done before the other store's.
times take_turns(shared_store& subject, shared_store& control, std::size_t rounds, std::size_t groups) {
  const auto slice = [groups](shared_store& store) {
    const double taken = store.publish_others(groups);
    store.settle();
    return taken;
  };
  times taken;
  for (std::size_t i = 0; i < rounds; ++i) {
    stop_if_asked();
    double on_control = 0;
    if (i % 2 == 1) on_control = slice(control);
    const double on_subject = slice(subject);
    if (i % 2 == 0) on_control = slice(control);
    taken.add(on_subject, on_control);
  }
  return taken;
}

struct deletion {
  std::vector<double> slices;  // the subject's, in order
  double milliseconds = 0;     // until the space was given back
  std::uint64_t given_back = 0;
};

/// Deletes, and publishes on and on until the space of what was deleted is free: nearly half of what had been
/// sealed at first. What is sealed meanwhile does not count.
deletion delete_while_publishing(shared_store& subject, std::uint64_t sealed_at_first, std::size_t groups) {
  const std::vector<std::filesystem::path> segments = subject.segments();
  const std::uint64_t before = disk_use(segments);
  const std::uint64_t enough = sealed_at_first / 2 / 20 * 19;
  deletion d;
  const auto begin = std::chrono::steady_clock::now();
  auto deleting = std::async(std::launch::async, [&] { subject.delete_victim(); });
  for (bool done = false; !done;) {
    stop_if_asked();
    d.slices.push_back(subject.publish_others(groups));
    d.given_back = before - disk_use(segments);
    const auto taken = std::chrono::steady_clock::now() - begin;
    d.milliseconds = std::chrono::duration<double, std::milli>{taken}.count();
    done = d.given_back >= enough;
    if (!done && taken > patience) {
      throw std::runtime_error{
          fmt::format("{} s after the deletion {} bytes of the {} awaited have been given back",
                      patience.count(), d.given_back, enough)};
    }
  }
  deleting.get();
  return d;
}

void delete_and_compare(const std::filesystem::path& directory, std::uint64_t bytes, findings& found) {
  const std::size_t rounds = found.smoke() ? 2 : 28;
  const std::size_t groups = found.smoke() ? 1 : 8;
  require_space(directory, 2 * (3 * bytes + 2 * bus_options{}.journal_bytes_max));
  shared_store subject{directory / "subject"};
  shared_store control{directory / "control"};
  subject.fill(bytes);
  const std::uint64_t sealed_at_first = disk_use(subject.segments());
  control.fill(bytes);

  (void)take_turns(subject, control, 2, groups);
  const times before = take_turns(subject, control, rounds, groups);
  const deletion during = delete_while_publishing(subject, sealed_at_first, groups);
  subject.settle();
  times until_given_back;
  for (const double on_subject : during.slices) {
    stop_if_asked();
    until_given_back.add(on_subject, control.publish_others(groups));
  }
  control.settle();
  const times after = take_turns(subject, control, rounds, groups);
  subject.close();
  control.close();

  found.line(fmt::format(
      "{:.0f} MB of segments given back within {:.0f} ms of the deletion, while {} slices of {} "
      "commits were published",
      static_cast<double>(during.given_back) / 1e6, during.milliseconds, during.slices.size(), groups));
  found.line(fmt::format("rate beside the store without deletion: before {}, until given back {}, after {}",
                         with_range(before.ratios), with_range(until_given_back.ratios),
                         with_range(after.ratios)));
  const double meanwhile = until_given_back.ratio() / before.ratio();
  times both = after;
  both.subject += until_given_back.subject;
  both.control += until_given_back.control;
  found.figure("given_back_milliseconds", during.milliseconds);
  found.line(fmt::format("until the space was given back alone, over before: {:.2f}", meanwhile));
  found.figure("ratio_until_given_back", meanwhile);
  found.at_least("ratio", "until given back and after, over before; each beside the other store",
                 both.ratio() / before.ratio(), rate_target);
}

}  // namespace

void ask_topic_deletion(suite& s) {
  const std::uint64_t bytes = s.options().studies.deleted_bytes;
  s.ask(study{
      .name = "topic_deletion",
      .text = fmt::format("topic deletion: {:.0f} MB between as many of {} other topics, which are published "
                          "to",
                          static_cast<double>(bytes) / 1e6, other_topics),
      .answer = [=](const auto& directory, findings& found) {
        delete_and_compare(directory, bytes, found);
      }});
}

}  // namespace levada::bench
