#pragma once

/// @file
/// Groups to try assignors on, and what can be said of any assignment.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include <levada/assignor.hpp>

namespace levada::test {

using assignment = std::vector<std::vector<topic_partition>>;

/// Partitions of a topic.
inline std::vector<topic_partition> of(const std::string& topic,
                                       std::initializer_list<std::uint32_t> partitions) {
  std::vector<topic_partition> all;
  for (const std::uint32_t p : partitions) all.push_back({topic, partition_id{p}});
  return all;
}
/// Sorted, as assignors give them.
inline std::vector<topic_partition> operator+(std::vector<topic_partition> a,
                                              const std::vector<topic_partition>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::sort(a.begin(), a.end());
  return a;
}

struct group {
  std::vector<assignor_member> members;
  std::vector<assignor_topic> topics;
};

inline assignment assign(const assignor& by, const group& g) {
  return by.assign(g.members, g.topics);
}

/// The group once everybody owns what was assigned.
inline group after(group g, const assignment& assigned) {
  for (std::size_t m = 0; m < g.members.size(); ++m) g.members[m].owned = assigned.at(m);
  return g;
}

inline bool reads(const assignor_member& m, const std::string& topic) {
  return std::find(m.topics.begin(), m.topics.end(), topic) != m.topics.end();
}

/// How many partitions went to another than their owner, though the owner reads their topic and they exist.
inline std::size_t moves(const group& g, const assignment& assigned) {
  std::size_t count = 0;
  for (std::size_t m = 0; m < g.members.size(); ++m) {
    for (const auto& where : g.members[m].owned) {
      const auto topic = std::find_if(g.topics.begin(), g.topics.end(),
                                      [&](const assignor_topic& t) { return t.name == where.topic; });
      if (topic == g.topics.end() || where.partition.value() >= topic->partitions) continue;
      if (!reads(g.members[m], where.topic)) continue;
      if (std::find(assigned[m].begin(), assigned[m].end(), where) == assigned[m].end()) ++count;
    }
  }
  return count;
}

struct group_shape {
  std::uint32_t members_max;
  std::uint32_t topics_max;
  std::uint32_t partitions_max;
  bool same_topics = false;
  /// How many of ten members read a topic.
  std::uint32_t readers_in_ten = 7;
};

/// Groups by seed.
class random_groups {
 public:
  explicit random_groups(unsigned seed) : random_{seed} {}

  std::uint32_t below(std::uint32_t n) {
    return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random_);
  }

  /// At least a member and a topic. Owners own partitions by chance: some that exist no more, some of topics
  /// that they read no more.
  group make(const group_shape& shape) {
    group g;
    const std::uint32_t topics = 1 + below(shape.topics_max);
    for (std::uint32_t t = 0; t < topics; ++t) {
      g.topics.push_back({fmt::format("t{:03}", t), 1 + below(shape.partitions_max)});
    }
    const std::uint32_t members = 1 + below(shape.members_max);
    for (std::uint32_t m = 0; m < members; ++m)
      g.members.push_back(member(fmt::format("m{:03}", m), g, shape));
    const std::uint32_t chance = below(5);  // of having an owner, in quarters
    const std::uint32_t favoured = below(members);
    for (std::uint32_t t = 0; t <= topics; ++t) {
      const std::string topic = fmt::format("t{:03}", t);
      for (std::uint32_t p = 0; p < shape.partitions_max; ++p) {
        if (below(4) >= chance) continue;
        std::uint32_t owner = below(3) == 0 ? favoured : below(members);
        if (below(10) != 0) {  // it reads the topic still, as somebody does
          for (std::uint32_t i = 0; i < members && !reads(g.members[owner], topic); ++i)
            owner = (owner + 1) % members;
        }
        g.members[owner].owned.push_back({topic, partition_id{p}});
      }
    }
    return g;
  }

  assignor_member member(std::string id, const group& g, const group_shape& shape) {
    assignor_member m{std::move(id), {}};
    for (const auto& topic : g.topics) {
      if (shape.same_topics || below(10) < shape.readers_in_ten) m.topics.push_back(topic.name);
    }
    std::shuffle(m.topics.begin(), m.topics.end(), random_);
    return m;
  }

 private:
  std::mt19937 random_;
};

}  // namespace levada::test
