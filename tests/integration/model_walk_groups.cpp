// The members of groups: what they read and commit.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>

#include "model_walk.hpp"

namespace levada::test {
namespace {

/// What the model knows: range, by the cooperative protocol.
class cooperative_range final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "cooperative range"; }
  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    return range_assignor()->assign(members, topics);
  }
};

}  // namespace

void model_walk::join() {
  if (members_.size() > 5) return leave();
  const std::string group = name("group", 2);
  const std::string id = name("member", 4);
  std::vector<std::string> topics;
  const std::uint32_t many = below(3) + (one_in(10) ? 0 : 1);
  for (std::uint32_t i = 0; i < many; ++i) topics.push_back(one_in(3) ? exchange_name() : topic_name());
  consumer_options o;
  o.reset = static_cast<offset_reset>(one_in(5) ? 2 : below(2));
  o.poll_records_max = one_in(2) ? 1 + below(12) : 1000;
  if (one_in(4)) o.poll_bytes_max = 1 + below(3000);
  o.member_id = id;
  o.assignor = std::make_shared<cooperative_range>();
  const bool commits_when_revoked = one_in(2);
  if (commits_when_revoked) o.on_revoked = [](revocation& r) { r.commit_positions(); };
  note("join {} as {} for {}, reset {}, commits when revoked: {}", group, id,
       ::testing::PrintToString(topics), static_cast<int>(o.reset), commits_when_revoked);
  std::optional<errc> expected;
  const bool all_known = std::all_of(topics.begin(), topics.end(),
                                     [&](const std::string& t) { return model_.logs.contains(t); });
  if (!all_known) {
    expected = errc::unknown_topic;
  } else if (topics.empty() || model_.groups[group].members.contains(id)) {
    expected = errc::invalid_argument;
  }
  auto got = bus_->join(group, topics, o);
  if (!require_outcome(got, expected, last())) return;
  model_group& g = model_.groups[group];
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  g.members[id] = {topics, o.reset, {}, {}, {}, {}, commits_when_revoked};
  model_.sync(g, id);
  members_.push_back({group, id, o.poll_records_max, ++processes_, std::move(*got)});
  check_positions(members_.back());
}

void model_walk::leave() {
  if (members_.empty()) return;
  const auto at = members_.begin() + static_cast<std::ptrdiff_t>(below_size(members_));
  note("{} leaves {}", at->id, at->group);
  abort_transactions_of(*at);
  model_.leave(model_.groups.at(at->group), at->id);
  if (one_in(2)) at->reader.close();
  members_.erase(at);
}

void model_walk::check_positions(const member_handle& m) {
  const auto& expected = modelled(m).owned;
  std::vector<topic_partition> owned;
  for (const auto& p : expected) owned.push_back(p.first);
  require(m.reader.assignment() == owned, last() + ": another assignment");
  for (const auto& p : expected) {
    const auto position = ok(m.reader.position(p.first));
    require(
        position == (p.second ? std::optional{offset{*p.second}} : std::nullopt),
        fmt::format("{}: position in {} partition {} is {}, expected {}", last(), p.first.topic,
                    p.first.partition.value(), position ? static_cast<std::int64_t>(position->value()) : -1,
                    p.second ? static_cast<std::int64_t>(*p.second) : -1));
  }
}

void model_walk::poll() {
  if (members_.empty()) return;
  member_handle& m = members_[below_size(members_)];
  note("{} of {} polls", m.id, m.group);
  const auto before = modelled(m).owned;
  model_.sync(model_.groups.at(m.group), m.id);
  auto& owned = modelled(m).owned;
  for (const auto& p : owned) {
    if (before.contains(p.first)) continue;
    history_.repositioned(m.process, p.first);
    ++counts_.handed_over;
  }
  const auto& paused = modelled(m).paused;
  for (const auto& p : owned) modelled(m).announced.insert(p.first);
  const auto got = m.reader.poll(at_once);
  const bool lacks_position = std::any_of(owned.begin(), owned.end(), [&](const auto& p) {
    return !p.second.has_value() && !paused.contains(p.first);
  });
  if (lacks_position && !got) {
    require_outcome(got, errc::no_committed_offset, last());
  } else {
    require_outcome(got, {}, last());
    require(got->size() <= m.records_max, last() + ": too many records");
    counts_.polled += got->size();
    history_.polled(m.process, *got, [this](const record_view& r) { return value_of(text_of(r)); });
    for (const auto& r : *got) {
      const topic_partition where{std::string{r.topic()}, r.partition()};
      const auto place = owned.find(where);
      require(place != owned.end() && place->second, last() + ": a record of a partition without position");
      require(!paused.contains(where), last() + ": a record of a paused partition");
      require_equal(r.offset().value(), *place->second, last() + ": offset in " + where.topic);
      check_record(r);
      ++*place->second;
    }
    if (got->empty()) {
      require(!lacks_position, last() + ": an empty batch, though a partition has no position");
      for (const auto& p : owned) {
        if (paused.contains(p.first)) continue;
        require_equal(*p.second, model_.logs.at(p.first.topic).end(p.first.partition.value()),
                      last() + ": an empty batch before the end of " + p.first.topic);
      }
    }
  }
  check_positions(m);
}

void model_walk::commit() {
  if (members_.empty()) return;
  member_handle& m = members_[below_size(members_)];
  note("{} of {} commits", m.id, m.group);
  require_outcome(m.reader.commit(), {}, last());
  for (const auto& p : modelled(m).owned) {
    if (p.second) model_.groups.at(m.group).committed[p.first] = *p.second;
  }
}

void model_walk::commit_one() {
  if (members_.empty()) return;
  member_handle& m = members_[below_size(members_)];
  const topic_partition where = some_place();
  const bool owned = modelled(m).owned.contains(where);
  const std::uint64_t end = owned ? model_.logs.at(where.topic).end(where.partition.value()) : 0;
  const std::uint64_t next = below(static_cast<std::uint32_t>(end) + 2);
  note("{} of {} commits {} in {} partition {}", m.id, m.group, next, where.topic, where.partition.value());
  std::optional<errc> expected;
  if (!owned) {
    expected = errc::not_assigned;
  } else if (next > end) {
    expected = errc::offset_out_of_range;
  }
  const auto got = m.reader.commit(where, offset{next});
  if (require_outcome(got, expected, last())) model_.groups.at(m.group).committed[where] = next;
  check_positions(m);
}

void model_walk::seek() {
  if (members_.empty()) return;
  member_handle& m = members_[below_size(members_)];
  topic_partition where = some_place();
  auto& owned = modelled(m).owned;
  if (!owned.empty() && !one_in(4)) {
    where = std::next(owned.begin(), static_cast<std::ptrdiff_t>(below_size(owned)))->first;
  }
  const auto place = owned.find(where);
  const model_log* const log = place == owned.end() ? nullptr : &model_.logs.at(where.topic);
  const start_position to = some_start(log, where.partition.value());
  note("{} of {} seeks in {} partition {}, kind {}", m.id, m.group, where.topic, where.partition.value(),
       to.index());
  std::optional<errc> expected;
  std::uint64_t position = 0;
  if (log == nullptr) {
    expected = errc::not_assigned;
  } else if (const auto* const at = std::get_if<offset>(&to)) {
    position = at->value();
    if (position > log->end(where.partition.value())) expected = errc::offset_out_of_range;
  } else if (const auto* const time = std::get_if<timestamp>(&to)) {
    position = log->first_at(where.partition.value(), *time);
  } else if (std::holds_alternative<from_latest>(to)) {
    position = log->end(where.partition.value());
  }
  if (require_outcome(m.reader.seek(where, to), expected, last())) {
    place->second = position;
    history_.repositioned(m.process, where);
  }
  check_positions(m);
}

void model_walk::pause() {
  if (members_.empty()) return;
  member_handle& m = members_[below_size(members_)];
  const bool on = one_in(2);
  const std::vector<topic_partition> where{some_place()};
  note("{} of {} {} {} partition {}", m.id, m.group, on ? "pauses" : "resumes", where[0].topic,
       where[0].partition.value());
  const bool owned = modelled(m).owned.contains(where[0]);
  const auto got = on ? m.reader.pause(where) : m.reader.resume(where);
  if (require_outcome(got, owned ? std::nullopt : std::optional{errc::not_assigned}, last())) {
    if (on) {
      modelled(m).paused.insert(where[0]);
    } else {
      modelled(m).paused.erase(where[0]);
    }
  }
  const auto& paused = modelled(m).paused;
  require(m.reader.paused() == std::vector<topic_partition>(paused.begin(), paused.end()),
          last() + ": other partitions are paused");
}

void model_walk::ask_positions() {
  if (members_.empty()) return;
  member_handle& m = members_[below_size(members_)];
  const topic_partition where = some_place();
  note("ask {} of {} for offsets in {} partition {}", m.id, m.group, where.topic, where.partition.value());
  check_positions(m);
  const auto got = m.reader.committed(where);
  const bool unknown = !model_.logs.contains(where.topic);
  if (!require_outcome(got, unknown ? std::optional{errc::unknown_topic} : std::nullopt, last())) return;
  const auto& committed = model_.groups.at(m.group).committed;
  const auto found = committed.find(where);
  require(got->has_value() == (found != committed.end()), last() + ": a committed offset more or less");
  if (*got) require_equal((*got)->next.value(), found->second, last() + ": committed offset");
}

}  // namespace levada::test
