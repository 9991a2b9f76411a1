#include "routing/matcher.hpp"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <span>

#include "routing/words.hpp"

namespace levada::routing {
namespace {

using destination = matcher::destination;

void insert_sorted(std::vector<destination>& all, destination to) {
  all.insert(std::lower_bound(all.begin(), all.end(), to), to);
}

void erase_sorted(std::vector<destination>& all, destination to) {
  all.erase(std::lower_bound(all.begin(), all.end(), to));
}

void sort_unique(std::vector<destination>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace

template <class Each>
void matcher::for_each_step(std::string_view key, Each each) const {
  // Other exchanges than topics compare keys whole: as one word, whatever is in it.
  if (type_ != exchange_type::topic) return each(words_.find(key), key);
  for_each_word(key, [&](std::string_view word) {
    each(word == "*" ? star : word == "#" ? hash : words_.find(word), word);
  });
}

const matcher::edge* matcher::find_edge(node_id parent, word_id word) const {
  return edges_.find(edge::hash_of(parent, word),
                     [=](const edge& e) { return e.parent == parent && e.word == word; });
}

inline matcher::node_id matcher::child(node_id parent, word_id step) const {
  const node& from = nodes_[parent];
  if (step == star) return from.under_star;
  if (step == hash) return from.under_hash;
  if (step == word_table::unknown) return none;
  if (step == from.word) return from.under_word;
  if (from.children_elsewhere == 0) return none;
  const edge* const found = find_edge(parent, step);
  return found == nullptr ? none : found->child;
}

matcher::node_id matcher::make_child(node_id parent, word_id step, std::string_view text) {
  if (const node_id there = child(parent, step); there != none) return there;
  auto made = static_cast<node_id>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    made = free_.back();
    free_.pop_back();
  }
  if (step != star && step != hash) step = words_.acquire(text);
  node& from = nodes_[parent];
  nodes_[made].parent = parent;
  nodes_[made].step = step;
  nodes_[made].behind_hash = from.behind_hash || from.step == hash;
  if (step == star) {
    from.under_star = made;
  } else if (step == hash) {
    from.under_hash = made;
  } else if (from.under_word == none) {
    from.word = step;
    from.under_word = made;
  } else {
    edges_.insert({parent, step, made});
    ++from.children_elsewhere;
  }
  return made;
}

bool matcher::bound(destination to) const {
  const auto first = bindings_.lower_bound({to, root});
  return first != bindings_.end() && first->first == to;
}

bool matcher::add(std::string_view key, destination to) {
  node_id at = root;
  for_each_step(key, [&](word_id step, std::string_view text) { at = make_child(at, step, text); });
  if (type_ == exchange_type::fanout && !bound(to)) insert_sorted(everyone_, to);
  if (!bindings_.emplace(to, at).second) return false;
  memo_.clear();
  insert_sorted(nodes_[at].here, to);
  return true;
}

bool matcher::remove(std::string_view key, destination to) {
  node_id at = root;
  bool there = true;
  for_each_step(key, [&](word_id step, std::string_view /*text*/) {
    if (there) at = child(at, step);
    there = there && at != none;
  });
  if (!there || bindings_.erase({to, at}) == 0) return false;
  withdraw(at, to);
  return true;
}

void matcher::remove_all(destination to) {
  const auto first = bindings_.lower_bound({to, root});
  auto last = first;
  std::vector<node_id> places;
  for (; last != bindings_.end() && last->first == to; ++last) places.push_back(last->second);
  bindings_.erase(first, last);
  for (const node_id at : places) withdraw(at, to);
}

void matcher::withdraw(node_id at, destination to) {
  memo_.clear();
  erase_sorted(nodes_[at].here, to);
  prune(at);
  if (type_ == exchange_type::fanout && !bound(to)) {
    const auto found = std::lower_bound(everyone_.begin(), everyone_.end(), to);
    if (found != everyone_.end() && *found == to) everyone_.erase(found);
  }
}

void matcher::prune(node_id at) {
  while (at != root && nodes_[at].empty()) {
    const node_id parent = nodes_[at].parent;
    detach(at);
    nodes_[at] = {};
    free_.push_back(at);
    at = parent;
  }
}

void matcher::detach(node_id at) {
  const node_id parent = nodes_[at].parent;
  const word_id step = nodes_[at].step;
  node& from = nodes_[parent];
  if (step == star) {
    from.under_star = none;
    return;
  }
  if (step == hash) {
    from.under_hash = none;
    return;
  }
  if (step == from.word) {
    from.word = word_table::unknown;
    from.under_word = none;
  } else {
    edges_.erase(find_edge(parent, step));
    --from.children_elsewhere;
  }
  words_.release(step);
}

/// One walk of a key's words through the trie. A place is held at most once per word, so that many `#` cannot
/// multiply the work. A node under `#` is open for as long as words come, since it stands for any number of
/// them: what is bound there is found as soon as it is reached. It is closed when reaching its children once
/// more could bring nothing: when each of them only leads to another `#`, and has been reached.
class matcher::walk {
 public:
  walk(const matcher& bindings, std::vector<destination>& out) : all_{bindings}, out_{out} { reach(root); }

  void step(word_id word) {
    // Those that this word opens take the next one first.
    const std::size_t held = open_.size();
    next_.assign(places_.begin(), places_.end());
    places_.clear();
    for (const node_id at : next_) {
      const node& from = all_.nodes_[at];
      if (from.under_star != none) reach(from.under_star);
      if (const node_id to = all_.child(at, word); to != none) reach(to);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < held; ++i) {
      open_hash h = open_[i];
      if (const node_id to = all_.nodes_[h.at].under_star; to != none && reach(to)) --h.left;
      if (const node_id to = all_.child(h.at, word); to != none && reach(to)) --h.left;
      if (h.left > 0) open_[kept++] = h;
    }
    const auto all = open_.begin();
    open_.erase(all + static_cast<std::ptrdiff_t>(kept), all + static_cast<std::ptrdiff_t>(held));
  }

  /// Takes up a walk that another one described.
  walk(const matcher& bindings, std::span<const std::uint32_t> description, std::vector<destination>& out)
      : all_{bindings}, out_{out} {
    auto from = description.begin();
    const auto take = [&from] { return *from++; };
    for (auto n = take(); n > 0; --n) places_.push_back(take());
    for (auto n = take(); n > 0; --n) {
      const node_id at = take();
      open_.push_back({at, take()});
    }
    for (auto n = take(); n > 0; --n) begun_.insert({take()});
    for (auto n = take(); n > 0; --n) out_.push_back(take());
  }

  /// All that matters for the words to come; the same however it was come by.
  [[nodiscard]] std::vector<std::uint32_t> describe() {
    std::vector<std::uint32_t> all;
    const auto put = [&all](std::size_t number) { all.push_back(static_cast<std::uint32_t>(number)); };
    std::sort(places_.begin(), places_.end());
    put(places_.size());
    for (const node_id at : places_) put(at);
    std::sort(open_.begin(), open_.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
    put(open_.size());
    for (const open_hash& h : open_) {
      put(h.at);
      put(h.left);
    }
    std::vector<node_id> again;
    begun_.for_each([&](const begun& b) { again.push_back(b.at); });
    std::sort(again.begin(), again.end());
    put(again.size());
    for (const node_id at : again) put(at);
    sort_unique(out_);
    put(out_.size());
    for (const destination to : out_) put(to);
    return all;
  }

  void finish() {
    for (const node_id at : places_) take(all_.nodes_[at]);
  }

 private:
  struct open_hash {
    node_id at;
    std::uint32_t left;  // children that have not been reached for good
  };

  struct begun {
    node_id at = none;

    [[nodiscard]] bool vacant() const noexcept { return at == none; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return at; }
  };

  void take(const node& at) { out_.insert(out_.end(), at.here.begin(), at.here.end()); }

  /// True when that was for good: the node leads to a `#` alone, which it has not led to before.
  bool reach(node_id at) {
    const node& reached = all_.nodes_[at];
    const bool leads_on = !reached.here.empty() || reached.children() > 0;
    if (leads_on) places_.push_back(at);
    if (reached.under_hash == none) return false;
    return begin(reached.under_hash) && !leads_on;
  }

  /// Reaches a node under `#`, which may also stand for no word at all. False when it was reached before.
  bool begin(node_id at) {
    if (all_.nodes_[at].behind_hash) {
      if (begun_.find(at, [at](const begun& b) { return b.at == at; }) != nullptr) return false;
      begun_.insert({at});
    }
    for (; at != none; at = all_.nodes_[at].under_hash) {
      const node& reached = all_.nodes_[at];
      take(reached);
      if (const std::uint32_t children = reached.children(); children > 0) open_.push_back({at, children});
    }
    return true;
  }

  const matcher& all_;
  std::vector<destination>& out_;
  boost::container::small_vector<node_id, 32> places_;
  boost::container::small_vector<node_id, 32> next_;
  boost::container::small_vector<open_hash, 16> open_;
  open_table<begun> begun_;  // those that may be reached again
};

void matcher::match_topic(std::string_view routing_key, std::vector<destination>& out) const {
  walk w{*this, out};
  for_each_word(routing_key, [&](std::string_view word) { w.step(words_.find(word)); });
  w.finish();
  sort_unique(out);
}

walk_memo::state_id matcher::remember(walk& w, std::vector<destination>& found) {
  const auto description = w.describe();
  if (description.size() > description_max) return walk_memo::too_large;
  w.finish();
  sort_unique(found);
  return memo_.add_state(description, found);
}

walk_memo::state_id matcher::learn_start() {
  std::vector<destination> found;
  walk w{*this, found};
  const walk_memo::state_id at = remember(w, found);
  memo_.set_start(at);
  return at;
}

walk_memo::state_id matcher::learn(walk_memo::state_id from, word_id word) {
  if (memo_.bytes() > memo_bytes_min + memo_bytes_per_binding * bindings_.size()) {
    memo_.clear();
    return walk_memo::too_large;
  }
  std::vector<destination> found;
  walk w{*this, memo_.description(from), found};
  w.step(word);
  const walk_memo::state_id to = remember(w, found);
  memo_.add_step(from, word, to);
  return to;
}

bool matcher::match_by_memo(std::string_view routing_key, std::vector<destination>& out) {
  // Words first: none waits for what memory has to say of the one before.
  boost::container::small_vector<word_id, 32> words;
  for_each_word(routing_key, [&](std::string_view word) { words.push_back(words_.find(word)); });
  auto at = memo_.start();
  if (at == walk_memo::unknown) at = learn_start();
  for (const word_id word : words) {
    if (at == walk_memo::too_large) return false;
    const auto next = memo_.next(at, word);
    at = next != walk_memo::unknown ? next : learn(at, word);
  }
  if (at == walk_memo::too_large) return false;
  const auto result = memo_.result(at);
  out.assign(result.begin(), result.end());
  return true;
}

void matcher::match(std::string_view routing_key, std::vector<destination>& out) {
  if (type_ == exchange_type::topic && match_by_memo(routing_key, out)) return;
  match_afresh(routing_key, out);
}

void matcher::match_afresh(std::string_view routing_key, std::vector<destination>& out) const {
  out.clear();
  switch (type_) {
    case exchange_type::topic:
      match_topic(routing_key, out);
      return;
    case exchange_type::direct:
      if (const node_id at = child(root, words_.find(routing_key)); at != none) out = nodes_[at].here;
      return;
    case exchange_type::fanout:
      out = everyone_;
      return;
    case exchange_type::headers:
    case exchange_type::consistent_hash:
      return;  // are matched otherwise: see binding_table
  }
}

}  // namespace levada::routing
