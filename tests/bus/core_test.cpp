#include "bus/core.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <support/result_testing.hpp>

#include "bus/catalog_intents.hpp"
#include "bus/topology.hpp"
#include "log/journal_reader.hpp"

namespace levada::test {
namespace {

/// Makes an engine's outcomes visible.
struct outcomes : commit_engine {
  using commit_engine::outcome;
};

/// An intent made by a test.
class made_intent final : public intent {
 public:
  explicit made_intent(std::function<result<void>(commit_scope&)> body) : body_{std::move(body)} {}
  result<void> execute(commit_scope& scope) override {
    ++executed;
    return body_(scope);
  }
  void applied(commit_scope&) noexcept override { ++applied_count; }

  int executed = 0;
  int applied_count = 0;

 private:
  std::function<result<void>(commit_scope&)> body_;
};

storage::log_entry log_named(std::string name, std::uint32_t partitions, std::uint8_t exchange) {
  storage::log_entry entry;
  entry.name = std::move(name);
  entry.partitions = partitions;
  entry.exchange = exchange;
  return entry;
}

/// Commits groups on a store in memory, past the queue of intents, so that their members are known.
class Core : public ::testing::Test {
 protected:
  Core() {
    core_ = start({});
    orders_ = ok(declare_log(*core_, log_named("orders", 2, 0)));
  }
  static std::shared_ptr<core> start(bus_options o) {
    o.clock = std::make_shared<manual_clock>();
    return ok(
        core::start(ok(storage::open_memory_store(o.memory_directory, {true, std::size_t{64} << 20, 0})),
                    ok(storage::fork_guard::make()), o, "memory"));
  }
  void commit(const std::vector<made_intent*>& group) {
    const std::vector<intent*> all(group.begin(), group.end());
    core_->commit(all);
  }
  static const result<void>& outcome(const intent& i) { return outcomes::outcome(i); }

  /// Appends a value, and tells where it came to stand.
  made_intent append(const std::string& value, std::uint64_t& offset) {
    auto rows = std::make_shared<log::row_encoder>(orders_->state.id(), 0);
    rows->add({.value = value});
    rows->finish();
    return made_intent{[this, rows, value, &offset](commit_scope& scope) -> result<void> {
      auto base = scope.append(*orders_, *rows);
      if (!base) return base.error();
      offset = *base;
      return {};
    }};
  }
  static made_intent refusing() {
    return made_intent{[](commit_scope&) -> result<void> {
      return error{errc::invalid_argument, "refused"};
    }};
  }
  /// Writes something and then fails in the middle, as LMDB might.
  made_intent breaking() {
    return made_intent{[this](commit_scope& scope) -> result<void> {
      log::row_encoder rows{orders_->state.id(), 0};
      rows.add({.value = "half-done"});
      rows.finish();
      if (auto base = scope.append(*orders_, rows); !base) return base.error();
      return scope.written(result<void>{error{errc::store_full, "broken"}});
    }};
  }
  std::vector<std::string> stored() {
    const auto access = ok(core_->enter("read"));
    auto reader = ok(log::journal_reader::open(access.main()));
    log::batch_builder batch{{}};
    std::uint64_t from = 0;
    ok(reader.read_partition(orders_->state, 0, from, UINT64_MAX, batch));
    std::vector<std::string> values;
    for (const auto& r : batch.finish()) values.emplace_back(r.value());
    return values;
  }

  std::shared_ptr<core> core_;
  std::shared_ptr<topic_slot> orders_;
  std::uint64_t a_ = 99;
  std::uint64_t b_ = 99;
  std::uint64_t c_ = 99;
};

TEST_F(Core, LetsTheIntentsOfAGroupSeeEachOther) {
  auto a = append("a", a_);
  auto b = append("b", b_);
  commit({&a, &b});
  EXPECT_THAT(outcome(a), succeeds());
  EXPECT_THAT(outcome(b), succeeds());
  EXPECT_EQ(a_, 0U);
  EXPECT_EQ(b_, 1U);
  EXPECT_EQ(orders_->state.end(0), 2U);
  EXPECT_EQ(stored(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(a.applied_count + b.applied_count, 2);
}

TEST_F(Core, RefusesOneIntentAndCommitsItsNeighboursWithIt) {
  auto a = append("a", a_);
  auto bad = refusing();
  auto b = append("b", b_);
  commit({&a, &bad, &b});
  EXPECT_THAT(outcome(a), succeeds());
  EXPECT_THAT(outcome(bad), fails_with(errc::invalid_argument));
  EXPECT_THAT(outcome(b), succeeds());
  EXPECT_EQ(a.executed, 1) << "nothing has to be repeated";
  EXPECT_EQ(bad.applied_count, 0);
  EXPECT_EQ(stored(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Core, RepeatsAGroupOneByOneWhenAWriteFails) {
  auto a = append("a", a_);
  auto bad = breaking();
  auto b = append("b", b_);
  commit({&a, &bad, &b});
  EXPECT_THAT(outcome(a), succeeds());
  EXPECT_THAT(outcome(bad), fails_with(errc::store_full));
  EXPECT_THAT(outcome(b), succeeds());
  EXPECT_EQ(a_, 0U);
  EXPECT_EQ(b_, 1U) << "nothing of what failed is left";
  EXPECT_EQ(a.applied_count, 1);
  EXPECT_EQ(bad.applied_count, 0);
  EXPECT_EQ(b.applied_count, 1);
  EXPECT_EQ(orders_->state.end(0), 2U);
  EXPECT_EQ(stored(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Core, CountsWhatIsCommittedAndNothingThatIsUndone) {
  const auto before = ok(core_->stats()).commits;
  auto a = append("a", a_);
  auto bad = breaking();
  auto refused = refusing();
  auto b = append("b", b_);
  commit({&a, &bad, &refused, &b});
  auto now = ok(core_->stats()).commits;
  EXPECT_EQ(now.failures - before.failures, 2U) << "the group's, and its own";
  EXPECT_EQ(now.commits - before.commits, 2U);
  EXPECT_EQ(now.requests - before.requests, 2U);
  EXPECT_EQ(now.records - before.records, 2U);
  auto c = append("c", c_);
  auto d = append("d", c_);
  commit({&c, &refused, &d});
  now = ok(core_->stats()).commits;
  EXPECT_EQ(now.failures - before.failures, 2U);
  EXPECT_EQ(now.commits - before.commits, 3U);
  EXPECT_EQ(now.requests - before.requests, 4U);
  EXPECT_EQ(now.records - before.records, 4U);
  EXPECT_EQ(now.duration.count(), now.commits);
}

/// Counts what is critical.
class critical_sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  int told = 0;

 private:
  void sink_it_(const spdlog::details::log_msg& m) override {
    if (m.level == spdlog::level::critical) ++told;
  }
  void flush_() override {}
};

TEST_F(Core, TellsItsLoggerOnceThatItFailed) {
  const auto sink = std::make_shared<critical_sink>();
  bus_options o;
  o.logger = std::make_shared<spdlog::logger>("test", sink);
  const auto failing = start(o);
  EXPECT_EQ(sink->told, 0);
  failing->fail({errc::io_error, "a disk is broken"});
  failing->fail({errc::io_error, "a disk is broken"});
  EXPECT_EQ(sink->told, 1);
  EXPECT_THAT(declare_log(*failing, log_named("t", 1, 0)), fails_with(errc::failed));
}

TEST_F(Core, GoesOnAfterALoneIntentBroke) {
  auto bad = breaking();
  commit({&bad});
  EXPECT_THAT(outcome(bad), fails_with(errc::store_full));
  EXPECT_EQ(orders_->state.end(0), 0U);
  auto a = append("a", a_);
  commit({&a});
  EXPECT_THAT(outcome(a), succeeds());
  EXPECT_EQ(a_, 0U);
  EXPECT_EQ(stored(), (std::vector<std::string>{"a"}));
}

TEST_F(Core, FailsAnIntentThatThrowsWithAnErrorAndKeepsServing) {
  made_intent throwing{[](commit_scope&) -> result<void> { throw std::bad_alloc{}; }};
  commit({&throwing});
  EXPECT_THAT(outcome(throwing), fails_with(errc::out_of_resources));
  auto a = append("a", a_);
  commit({&a});
  EXPECT_THAT(outcome(a), succeeds());
}

TEST_F(Core, StagesQueueEntriesOnlyForWhatIsCommitted) {
  const auto queue = ok(declare_queue(*core_, "work", {}, queue_of::all));
  const auto entry = [&](std::uint64_t offset, bool fails) {
    return made_intent{[&queue, offset, fails](commit_scope& scope) -> result<void> {
      scope.enqueue(*queue, {1, 0, 0, offset, 0, static_cast<std::uint32_t>(offset)}, 0);
      return fails ? scope.written(result<void>{error{errc::store_full, "broken"}}) : result<void>{};
    }};
  };
  auto first = entry(10, false);
  auto bad = entry(11, true);
  auto second = entry(12, false);
  commit({&first, &bad, &second});
  EXPECT_EQ(queue->state.row().tail, 2U);
  EXPECT_EQ(queue->state.row().bytes, 10U + 12U);
  const auto access = ok(core_->enter("take"));
  const auto taken = ok(queue->state.take(access.main(), 10, 0));
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].where.offset, 10U);
  EXPECT_EQ(taken[1].where.offset, 12U);
}

TEST_F(Core, GivesOutNoIdTwice) {
  const auto topic = ok(declare_log(*core_, log_named("t", 1, 0)));
  const auto queue = ok(declare_queue(*core_, "q", {}, queue_of::all));
  const std::uint32_t gone = queue->state.id();
  EXPECT_GT(gone, topic->state.id());
  ok(delete_queue(*core_, *queue));
  EXPECT_GT(ok(declare_queue(*core_, "q", {}, queue_of::all))->state.id(), gone);
  const auto again = ok(declare_log(*core_, log_named("t", 1, 0)));
  EXPECT_EQ(again, topic) << "what exists is returned";
}

TEST_F(Core, KeepsNoBindingOfADeletedQueue) {
  const auto exchange =
      ok(declare_log(*core_, log_named("events", 1, static_cast<std::uint8_t>(exchange_type::topic))));
  const auto gone = ok(declare_queue(*core_, "gone", {}, queue_of::all));
  const auto kept = ok(declare_queue(*core_, "kept", {}, queue_of::all));
  const binding_end to_gone{gone->state.id(), false, "gone"};
  const binding_end to_kept{kept->state.id(), false, "kept"};
  ok(levada::bind(*core_, *exchange, to_gone, "a.#", {}));
  ok(levada::bind(*core_, *exchange, to_gone, "b", {}));
  ok(levada::bind(*core_, *exchange, to_kept, "b", {}));
  ok(delete_queue(*core_, *gone));
  std::vector<std::uint32_t> found;
  exchange->bindings->match({"a.x", {}}, found);
  EXPECT_THAT(found, ::testing::IsEmpty());
  exchange->bindings->match({"b", {}}, found);
  EXPECT_THAT(found, ::testing::ElementsAre(kept->state.id()));
  EXPECT_THAT(core_->bindings().from(exchange->state.id()), ::testing::SizeIs(1));
  EXPECT_THAT(core_->bindings().to(gone->state.id()), ::testing::IsEmpty());
  EXPECT_THAT(core_->bindings().to(kept->state.id()), ::testing::SizeIs(1));
}

TEST_F(Core, RefusesEverythingOnceClosed) {
  ok(core_->close(core::leftovers::commit));
  ok(core_->close(core::leftovers::commit));
  EXPECT_THAT(core_->enter("look"), fails_with(errc::closed));
  auto a = append("a", a_);
  EXPECT_THAT(core_->run("publish", a), fails_with(errc::closed));
  EXPECT_EQ(a.executed, 0);
}

}  // namespace
}  // namespace levada::test
