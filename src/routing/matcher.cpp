#include "routing/matcher.hpp"

#include <algorithm>

#include "routing/words.hpp"

namespace levada::routing {
namespace {

using destination = matcher::destination;

bool insert_sorted(std::vector<destination>& all, destination to) {
  const auto at = std::lower_bound(all.begin(), all.end(), to);
  if (at != all.end() && *at == to) return false;
  all.insert(at, to);
  return true;
}

bool erase_sorted(std::vector<destination>& all, destination to) {
  const auto at = std::lower_bound(all.begin(), all.end(), to);
  if (at == all.end() || *at != to) return false;
  all.erase(at);
  return true;
}

void sort_unique(std::vector<destination>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace

std::unique_ptr<matcher::node>* matcher::child(node& parent, std::string_view word, bool create) {
  std::unique_ptr<node>* slot = nullptr;
  if (word == "*") {
    slot = &parent.star;
  } else if (word == "#") {
    slot = &parent.hash;
  } else if (const auto found = parent.words.find(word); found != parent.words.end()) {
    slot = &found->second;
  } else if (create) {
    slot = &parent.words[std::string{word}];
  }
  if (slot != nullptr && !*slot && create) *slot = std::make_unique<node>();
  return slot != nullptr && *slot ? slot : nullptr;
}

bool matcher::add(std::string_view key, destination to) {
  bool added = false;
  if (type_ == exchange_type::topic) {
    node* at = &root_;
    for_each_word(key, [&](std::string_view word) { at = child(*at, word, true)->get(); });
    added = insert_sorted(at->here, to);
  } else {
    added = insert_sorted(by_key_[std::string{key}], to);
  }
  if (added) ++size_;
  return added;
}

bool matcher::remove_path(node& at, const std::vector<std::string_view>& words, std::size_t i,
                          destination to) {
  if (i == words.size()) return erase_sorted(at.here, to);
  auto* const next = child(at, words[i], false);
  if (next == nullptr || !remove_path(**next, words, i + 1, to)) return false;
  if ((*next)->empty()) {
    if (next == &at.star || next == &at.hash) {
      next->reset();
    } else {
      at.words.erase(at.words.find(words[i]));
    }
  }
  return true;
}

bool matcher::remove(std::string_view key, destination to) {
  bool removed = false;
  if (type_ == exchange_type::topic) {
    removed = remove_path(root_, split_words(key), 0, to);
  } else if (const auto found = by_key_.find(key); found != by_key_.end()) {
    removed = erase_sorted(found->second, to);
    if (found->second.empty()) by_key_.erase(found);
  }
  if (removed) --size_;
  return removed;
}

std::size_t matcher::remove_everywhere(node& at, destination to) {
  std::size_t removed = erase_sorted(at.here, to) ? 1 : 0;
  for (auto* const slot : {&at.star, &at.hash}) {
    if (!*slot) continue;
    removed += remove_everywhere(**slot, to);
    if ((*slot)->empty()) slot->reset();
  }
  for (auto i = at.words.begin(); i != at.words.end();) {
    removed += remove_everywhere(*i->second, to);
    i = i->second->empty() ? at.words.erase(i) : std::next(i);
  }
  return removed;
}

void matcher::remove_all(destination to) {
  size_ -= remove_everywhere(root_, to);
  for (auto i = by_key_.begin(); i != by_key_.end();) {
    if (erase_sorted(i->second, to)) --size_;
    i = i->second.empty() ? by_key_.erase(i) : std::next(i);
  }
}

void matcher::match_topic(std::string_view routing_key, std::vector<destination>& out) const {
  // A place in the trie is held at most once per word, so that many `#` cannot multiply the work. A node
  // under `#` stays a place for as long as words come, since it stands for any number of them.
  std::vector<const node*> places;
  std::vector<const node*> next;
  const auto reach = [](std::vector<const node*>& set, const node* at) {
    // `#` may stand for no word at all: its node is reached together with its parent.
    for (; at != nullptr; at = at->hash.get()) set.push_back(at);
  };
  const auto settle = [](std::vector<const node*>& set) {
    std::sort(set.begin(), set.end(), std::less<>{});
    set.erase(std::unique(set.begin(), set.end()), set.end());
  };
  std::vector<const node*> hashes;  // the nodes under `#` that have been reached
  const auto note_hashes = [&hashes](const std::vector<const node*>& set) {
    for (const node* const at : set) {
      if (at->hash) hashes.push_back(at->hash.get());
    }
    std::sort(hashes.begin(), hashes.end(), std::less<>{});
    hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  };
  reach(places, &root_);
  note_hashes(places);
  for_each_word(routing_key, [&](std::string_view word) {
    next.clear();
    for (const node* const at : places) {
      if (at->star) reach(next, at->star.get());
      if (const auto found = at->words.find(word); found != at->words.end()) reach(next, found->second.get());
    }
    for (const node* const at : hashes) reach(next, at);
    settle(next);
    places.swap(next);
    note_hashes(places);
  });
  for (const node* const at : places) out.insert(out.end(), at->here.begin(), at->here.end());
}

void matcher::match(std::string_view routing_key, std::vector<destination>& out) const {
  out.clear();
  switch (type_) {
    case exchange_type::topic:
      match_topic(routing_key, out);
      break;
    case exchange_type::direct:
      if (const auto found = by_key_.find(routing_key); found != by_key_.end()) out = found->second;
      return;
    case exchange_type::fanout:
      for (const auto& [key, bound] : by_key_) out.insert(out.end(), bound.begin(), bound.end());
      break;
  }
  sort_unique(out);
}

}  // namespace levada::routing
