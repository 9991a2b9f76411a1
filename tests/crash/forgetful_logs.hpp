#pragma once

/// @file
/// The part of the victim that works on logs which do not keep everything: a compacted topic, one with
/// retention, one whose oldest records are deleted, one that is deleted as a whole, and an exchange whose log
/// is thinned out around the few messages that its queue has not settled.

#include <crash/victim_tools.hpp>

#include <levada/levada.hpp>

namespace levada::crash {

/// Publishes to all of these that stay; one thread's work.
class forgetful_producer {
 public:
  /// `next` names the next record; others of the same thread count on with it.
  forgetful_producer(bus& b, teller& out, dice d, serial& next) : bus_{b}, out_{out}, dice_{d}, next_{next} {}

  void publish_something();
  /// Large records, so that a segment of their own is worth being written anew when they are deleted.
  void publish_large(std::size_t records);
  /// To the topic that comes and goes.
  void publish_passing();

 private:
  template <class Make>
  void publish_batch_to(const std::string& name, std::size_t records, Make make);
  void publish_news();

  bus& bus_;
  teller& out_;
  dice dice_;
  serial& next_;
};

/// Declares, deletes, trims and settles; the main thread's work.
class forgetful_logs {
 public:
  forgetful_logs(bus& b, teller& out, const victim_options& options);

  static void declare_all(bus& b, teller& out, const victim_options& options);

  /// Deletes the topic that comes and goes, makes it anew, or publishes to it.
  void change_passing_topic(dice& d, forgetful_producer& sender);
  /// Deletes oldest records: up to anywhere, or three quarters of what there is.
  void trim(dice& d);
  void trim_most();
  /// Begins or ends compaction.
  void change_compaction(dice& d);
  void change_compression(dice& d);
  /// Receives all news and settles all but a few.
  void take_news(dice& d);
  /// Tells where logs begin.
  void look_at_beginnings();

 private:
  void trim_to(std::uint32_t partition, std::uint64_t before);

  bus& bus_;
  teller& out_;
  const victim_options& options_;
  queue_consumer desk_;
};

}  // namespace levada::crash
