/// @file
/// The sticky assignors. What they promise is KIP-54's (balance first, then stickiness) and KIP-429's (the
/// cooperative protocol). The algorithm is not Kafka's: it is the optimal semi-matching of Harvey, Ladner,
/// Lovász and Tamir (2003), made sticky by cancelling negative cycles as for flows of least cost (Klein,
/// 1967). Thus the balance is the best there is, where Kafka stops at what single moves improve.

#include <levada/assignor.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "group/topic_readers.hpp"

namespace levada {
namespace {

constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();

/// The partitions to assign, and who holds them. Members, topics and partitions are numbers.
///
/// Topics that the same members read form one *class*, members that read the same topics one *kind*. So where
/// all read the same there is one of each, and the work hardly depends on how many members and topics there
/// are.
///
/// An assignment is the better the smaller the sum of the squares of its members' *loads*, their numbers of
/// partitions. It is the best when there is no *chain* that begins at a member, ends at one with a load
/// smaller by 2 or more, and whose members can each hand the next one a partition. Such a chain of one step
/// is what Kafka's definition of balance forbids.
class balancer {
 public:
  balancer(std::span<const assignor_member> members, std::span<const assignor_topic> topics)
      : members_{static_cast<std::uint32_t>(members.size())}, loads_(members.size()), held_(members.size()) {
    const auto readers = group::topic_readers(members, topics);
    group_topics(readers);
    number_partitions(readers, topics);
    note_owners(members, topics);
  }

  void run() {
    keep();
    fill();
    level();
    if (moved()) save_moves();
  }

  [[nodiscard]] std::vector<std::vector<topic_partition>> assignment(
      std::span<const assignor_topic> topics) const {
    std::vector<std::vector<topic_partition>> all(members_);
    for (std::uint32_t p = 0; p < holder_.size(); ++p) {
      const auto& topic = topics[topic_[p]];
      all[holder_[p]].push_back({topic.name, partition_id{p - first_[topic_[p]]}});
    }
    return all;
  }

 private:
  /// A load and a member with it: the least loaded come first, by number where loads are equal.
  using loaded = std::pair<std::uint32_t, std::uint32_t>;

  void group_topics(const std::vector<std::vector<std::uint32_t>>& readers) {
    std::map<std::vector<std::uint32_t>, std::uint32_t> classes;  // by readers
    std::vector<std::vector<std::uint32_t>> read(members_);       // classes, by member
    class_of_topic_.resize(readers.size(), nobody);
    for (std::uint32_t t = 0; t < readers.size(); ++t) {
      if (readers[t].empty()) continue;
      const auto [at, fresh] = classes.try_emplace(readers[t], static_cast<std::uint32_t>(classes.size()));
      class_of_topic_[t] = at->second;
      if (!fresh) continue;
      readers_of_class_.push_back(readers[t].size());
      for (const std::uint32_t m : readers[t]) read[m].push_back(at->second);
    }
    kinds_of_class_.resize(classes.size());
    std::map<std::vector<std::uint32_t>, std::uint32_t> kinds;  // by classes
    kind_of_.resize(members_);
    for (std::uint32_t m = 0; m < members_; ++m) {
      const auto [at, fresh] = kinds.emplace(std::move(read[m]), static_cast<std::uint32_t>(kinds.size()));
      kind_of_[m] = at->second;
      if (!fresh) continue;
      for (const std::uint32_t c : at->first) kinds_of_class_[c].push_back(at->second);
    }
    of_kind_.resize(kinds.size());
    for (std::uint32_t m = 0; m < members_; ++m) of_kind_[kind_of_[m]].emplace(0U, m);
  }

  void number_partitions(const std::vector<std::vector<std::uint32_t>>& readers,
                         std::span<const assignor_topic> topics) {
    first_.resize(topics.size());
    for (std::uint32_t t = 0; t < topics.size(); ++t) {
      first_[t] = static_cast<std::uint32_t>(topic_.size());
      if (!readers[t].empty()) topic_.resize(topic_.size() + topics[t].partitions, t);
    }
    owner_.resize(topic_.size(), nobody);
    holder_.resize(topic_.size(), nobody);
  }

  void note_owners(std::span<const assignor_member> members, std::span<const assignor_topic> topics) {
    std::map<std::string_view, std::uint32_t> places;
    for (std::uint32_t t = 0; t < topics.size(); ++t) places.emplace(topics[t].name, t);
    for (std::uint32_t m = 0; m < members_; ++m) {
      auto at = places.end();
      for (const auto& [topic, partition] : members[m].owned) {
        if (at == places.end() || at->first != topic) at = places.find(topic);
        if (at == places.end() || partition.value() >= topics[at->second].partitions) continue;
        if (!reads(m, class_of_topic_[at->second])) continue;
        std::uint32_t& owner = owner_[first_[at->second] + partition.value()];
        if (owner == nobody) owner = m;
      }
    }
  }

  [[nodiscard]] bool reads(std::uint32_t m, std::uint32_t c) const {
    if (c == nobody) return false;
    const auto& kinds = kinds_of_class_[c];
    return std::binary_search(kinds.begin(), kinds.end(), kind_of_[m]);
  }
  [[nodiscard]] std::uint32_t class_of(std::uint32_t p) const { return class_of_topic_[topic_[p]]; }

  void set_load(std::uint32_t m, std::uint32_t load) {
    auto& all = of_kind_[kind_of_[m]];
    all.erase({loads_[m], m});
    loads_[m] = load;
    all.emplace(load, m);
  }
  void give(std::uint32_t p, std::uint32_t m) {
    holder_[p] = m;
    held_[m][class_of(p)].push_back(p);
    set_load(m, loads_[m] + 1);
  }
  /// Takes a partition of class `c` from `m`: the one that came last. What was its own all along goes last.
  std::uint32_t take(std::uint32_t m, std::uint32_t c) {
    const auto at = held_[m].find(c);
    const std::uint32_t p = at->second.back();
    at->second.pop_back();
    if (at->second.empty()) held_[m].erase(at);
    set_load(m, loads_[m] - 1);
    return p;
  }

  /// Leaves with everyone what was theirs. Backwards, so that the last partitions are the first to go.
  void keep() {
    for (auto p = static_cast<std::uint32_t>(topic_.size()); p-- > 0;) {
      if (owner_[p] != nobody) give(p, owner_[p]);
    }
  }

  /// Gives what has no holder to the reader with the least load; what fewest members read goes first.
  void fill() {
    std::vector<std::uint32_t> free;
    for (std::uint32_t p = 0; p < topic_.size(); ++p) {
      if (holder_[p] == nobody) free.push_back(p);
    }
    std::stable_sort(free.begin(), free.end(), [this](std::uint32_t a, std::uint32_t b) {
      return readers_of_class_[class_of(a)] < readers_of_class_[class_of(b)];
    });
    for (const std::uint32_t p : free) {
      loaded least{nobody, nobody};
      for (const std::uint32_t k : kinds_of_class_[class_of(p)])
        least = std::min(least, *of_kind_[k].begin());
      give(p, least.second);
    }
  }

  /// Relieves who has the most, until no chain is left.
  void level() {
    std::vector<char> settled(of_kind_.size(),
                              0);  // kinds whose members have and get the loads they must have
    for (;;) {
      loaded most{0, 0};
      for (std::uint32_t k = 0; k < of_kind_.size(); ++k) {
        if (settled[k] == 0) most = std::max(most, *of_kind_[k].rbegin());
      }
      if (most.first < 2) return;
      relieve(most.second, settled);
    }
  }

  /// Hands a partition from `m` down the shortest chain there is. Where there is none, the members that could
  /// get something from `m`, at once or through others, can relieve nobody whose load is at most that of `m`,
  /// nor be relieved themselves: their kinds are settled.
  void relieve(std::uint32_t m, std::vector<char>& settled) {
    std::vector<std::uint32_t> giver(kinds_of_class_.size(),
                                     nobody);  // from whom the chain has a class's partition
    std::vector<std::uint32_t> through(of_kind_.size(), nobody);  // by which class the chain comes to a kind
    std::vector<std::uint32_t> reached;                           // kinds
    std::vector<std::uint32_t> front{m};
    std::size_t expanded = 0;
    while (!front.empty()) {
      const auto is_open = [&](std::uint32_t k) { return settled[k] == 0 && through[k] == nobody; };
      for (const std::uint32_t from : front) {
        for (const auto& [c, partitions] : held_[from]) {
          if (giver[c] != nobody) continue;
          giver[c] = from;
          for (const std::uint32_t k : kinds_of_class_[c]) {
            if (!is_open(k)) continue;
            through[k] = c;
            reached.push_back(k);
          }
        }
      }
      loaded least{nobody, nobody};
      for (std::size_t i = expanded; i < reached.size(); ++i) {
        least = std::min(least, *of_kind_[reached[i]].begin());
      }
      if (least.first != nobody && least.first + 2 <= loads_[m]) {
        for (std::uint32_t to = least.second; to != m;) {
          const std::uint32_t c = through[kind_of_[to]];
          const std::uint32_t from = giver[c];
          give(take(from, c), to);
          to = from;
        }
        return;
      }
      front.clear();
      for (; expanded < reached.size(); ++expanded) {
        for (const auto& [load, member] : of_kind_[reached[expanded]]) {
          if (member != m) front.push_back(member);
        }
      }
    }
    for (const std::uint32_t k : reached) settled[k] = 1;
  }

  [[nodiscard]] bool moved() const {
    for (std::uint32_t p = 0; p < holder_.size(); ++p) {
      if (owner_[p] != nobody && owner_[p] != holder_[p]) return true;
    }
    return false;
  }

  /// Finds members that can pass partitions on in a ring, or along a chain whose ends merely exchange their
  /// loads, so that fewer partitions have left their owners; until there are none, when no assignment as
  /// balanced moves fewer.
  /// `held_` and `of_kind_` do not follow.
  void save_moves();

  std::uint32_t members_;
  std::vector<std::uint32_t> class_of_topic_;               // nobody: nobody reads it
  std::vector<std::size_t> readers_of_class_;               // how many
  std::vector<std::vector<std::uint32_t>> kinds_of_class_;  // who reads it; ascending
  std::vector<std::uint32_t> kind_of_;                      // by member
  std::vector<std::set<loaded>> of_kind_;                   // its members
  std::vector<std::uint32_t> first_;                        // by topic: its partition 0
  std::vector<std::uint32_t> topic_;                        // by partition
  std::vector<std::uint32_t> owner_;   // by partition: who had it, if it still reads the topic
  std::vector<std::uint32_t> holder_;  // by partition: who gets it
  std::vector<std::uint32_t> loads_;   // by member
  std::vector<std::map<std::uint32_t, std::vector<std::uint32_t>>> held_;  // by member and class
};

/// Shortest ways by Bellman and Ford in a graph whose edges are what could be done with one partition and
/// what it costs; where ways never cease to become shorter, there is a ring of negative cost. The nodes are
/// - members: from one leads an edge to each class of which it holds a partition, at no cost if that is not
/// its own
///   anyway, else at 1; and one of cost -1 to the owner of each partition that has left it;
/// - classes: to each kind that reads the class;
/// - kinds: to each of their members;
/// - one more, by which chains become rings: from each member at the cost of taking one more partition, and
/// to each
///   at the gain of one less. A step in the load outweighs all moves of a ring.
void balancer::save_moves() {
  const auto classes = static_cast<std::uint32_t>(kinds_of_class_.size());
  const auto kinds = static_cast<std::uint32_t>(of_kind_.size());
  const std::uint32_t first_class = members_;
  const std::uint32_t first_kind = first_class + classes;
  const std::uint32_t turn = first_kind + kinds;
  const std::int64_t step = std::int64_t{members_} + 1;

  struct node {
    std::int64_t cost = 0;
    std::uint32_t from = nobody;       // node
    std::uint32_t partition = nobody;  // what a member gives on the way here
  };
  std::vector<node> nodes;
  bool shortened = false;
  const auto edge = [&](std::uint32_t from, std::uint32_t to, std::int64_t cost, std::uint32_t partition) {
    if (nodes[from].cost + cost >= nodes[to].cost) return;
    nodes[to] = {nodes[from].cost + cost, from, partition};
    shortened = true;
  };
  const auto pass = [&] {
    for (std::uint32_t p = 0; p < holder_.size(); ++p) {
      const std::uint32_t m = holder_[p];
      edge(m, first_class + class_of(p), owner_[p] == m ? 1 : 0, p);
      if (owner_[p] != nobody && owner_[p] != m) edge(m, owner_[p], -1, p);
    }
    for (std::uint32_t c = 0; c < classes; ++c) {
      for (const std::uint32_t k : kinds_of_class_[c]) edge(first_class + c, first_kind + k, 0, nobody);
    }
    for (std::uint32_t m = 0; m < members_; ++m) {
      edge(first_kind + kind_of_[m], m, 0, nobody);
      edge(m, turn, step * loads_[m], nobody);
    }
    for (std::uint32_t m = 0; m < members_; ++m) {
      if (loads_[m] > 0) edge(turn, m, -step * (std::int64_t{loads_[m]} - 1), nobody);
    }
  };
  /// Does what the ring through this node says: each partition goes to the next member on the way.
  const auto pass_on = [&](std::uint32_t start) {
    std::uint32_t to = start;
    while (to >= members_) to = nodes[to].from;
    const std::uint32_t end = to;
    std::uint32_t receiver = to;
    do {
      const node& here = nodes[to];
      if (here.partition != nobody) {
        holder_[here.partition] = receiver;
        --loads_[here.from];
        ++loads_[receiver];
      }
      to = here.from;
      if (to < members_) receiver = to;
    } while (to != end);
  };
  /// Passes on along all rings among the ways found so far, and tells whether there were any. They share no
  /// node.
  std::vector<std::uint32_t> seen;
  const auto pass_on_all = [&] {
    bool found = false;
    seen.assign(nodes.size(), nobody);
    for (std::uint32_t start = 0; start < nodes.size(); ++start) {
      std::uint32_t n = start;
      while (n != nobody && seen[n] == nobody) {
        seen[n] = start;
        n = nodes[n].from;
      }
      if (n == nobody || seen[n] != start) continue;
      pass_on(n);
      found = true;
    }
    return found;
  };

  do {
    nodes.assign(std::size_t{turn} + 1, {});
    do {
      shortened = false;
      pass();
    } while (shortened && !pass_on_all());
  } while (shortened);
}

class sticky final : public assignor {
 public:
  explicit sticky(bool cooperative) : cooperative_{cooperative} {}

  [[nodiscard]] std::string_view name() const noexcept override {
    return cooperative_ ? "cooperative-sticky" : "sticky";
  }
  [[nodiscard]] bool cooperative() const noexcept override { return cooperative_; }
  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    balancer partitions{members, topics};
    partitions.run();
    return partitions.assignment(topics);
  }

 private:
  bool cooperative_;
};

}  // namespace

std::shared_ptr<const assignor> sticky_assignor() {
  return std::make_shared<sticky>(false);
}
std::shared_ptr<const assignor> cooperative_sticky_assignor() {
  return std::make_shared<sticky>(true);
}

}  // namespace levada
