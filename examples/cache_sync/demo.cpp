#include "demo.hpp"

#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include <levada/bus.hpp>

#include <common/claim.hpp>
#include <common/failure.hpp>
#include <common/run_directory.hpp>
#include <common/text.hpp>
#include <support/machine.hpp>
#include <support/scratch_directory.hpp>

#include "audit.hpp"
#include "background.hpp"
#include "changes.hpp"
#include "comparison.hpp"
#include "licensing.hpp"
#include "organisation_service.hpp"
#include "proof.hpp"

namespace cache_sync {
namespace {

/// So long nobody has to wait for licensing on any disk.
constexpr std::chrono::seconds patience{60};

void tell(std::string_view text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

/// The host of all services: one process, one bus.
class host {
 public:
  host(const std::filesystem::path& store, const options& o)
      : changes_count_{o.changes},
        bus_{levada::bus::open(store).value()},
        organisations_{bus_},
        changes_{o.organisations} {}

  [[nodiscard]] std::vector<organisation> organisations() const { return organisations_.all().value(); }

  /// Changes organisations.
  levada::result<void> change() {
    for (std::size_t n = 0; n < changes_count_; ++n) {
      const auto [id, d] = changes_.next();
      if (const auto saved = organisations_.save(id, d); !saved) return saved.error();
    }
    return {};
  }

  /// Starts licensing, changes organisations meanwhile, asks it all the time, and stops it. Returns how many
  /// entries of its cache were stale when it started.
  std::size_t change_beside_licensing(std::string_view when) {
    const auto at_start = organisations();
    freshness seen{at_start};
    licensing service{bus_};
    seen.see_cache(service);
    const auto ask = [&](organisation_id id) { seen.see(id, service.ask(id).value()); };
    for (const auto& o : at_start) ask(o.id);
    change_source questions = changes_;
    {
      background serving{[&](const std::stop_token& stop) { return service.serve(stop); }};
      background changing{[&](const std::stop_token&) { return change(); }};
      while (!changing.done()) ask(questions.next().first);
      changing.stop().value();
      const bool in_time = service.wait_for(end_of_log(bus_, changes_topic).value(), patience);
      serving.stop().value();
      if (!in_time) throw example::failure{"licensing has not caught up"};
    }
    for (const auto& o : organisations()) ask(o.id);
    add_proof(when, seen.nothing_stale());
    add_proof(when, cache_equals_table(service, organisations()));
    return seen.entries_stale();
  }

  /// Adds the audit, or goes on with it.
  void run_audit() {
    audit late{bus_};
    const auto seen = late.catch_up().value();
    tell(fmt::format("The audit has counted {} changes", example::grouped(seen)));
    add_proof("late", audit_saw_all(late, organisations()));
  }

  [[nodiscard]] const std::vector<claim>& proof() const { return proof_; }
  void close() { bus_.close().value(); }

 private:
  void add_proof(std::string_view when, claim c) {
    c.promise = fmt::format("{}: {}", when, c.promise);
    proof_.push_back(std::move(c));
  }

  const std::size_t changes_count_;
  levada::bus bus_;
  organisation_service organisations_;
  change_source changes_;
  std::vector<claim> proof_;
};

claim run_comparison(const std::filesystem::path& directory, const options& o) {
  namespace measuring = levada::bench;
  tell("\nHow long the organisation service takes for a change");
  fmt::print("{}", measuring::describe_machine(directory));
  tell("Durability: synced: what a call has done is flushed when it returns.");
  fmt::print("{}", measuring::describe(measuring::measure_flush(directory), "before"));
  auto c = [&] {
    const measuring::scratch_directory scratch{directory};
    return compare({scratch.path() / "store", o.measured, o.slow, o.timeout});
  }();
  fmt::print("{}", measuring::describe(measuring::measure_flush(directory), "after"));
  for (const auto& line : render(c)) tell(line);
  return std::move(c.nothing_stale_when_published);
}

}  // namespace

int run_demo(const options& o) {
  example::run_directory directory{o.directory, "cache-sync"};
  host h{directory.path() / "store", o};
  const auto changes = example::grouped(o.changes);

  tell(h.organisations().empty()
           ? "A new store."
           : fmt::format("A store with {} organisations; licensing may have missed changes of them.",
                         example::grouped(h.organisations().size())));
  tell(fmt::format("Licensing is started, and answers beside {} changes.", changes));
  h.change_beside_licensing("start");

  tell(fmt::format("Licensing is stopped; {} changes go on.", changes));
  h.change().value();
  tell(fmt::format("Licensing is started again, beside {} more.", changes));
  if (h.change_beside_licensing("restart") == 0) {
    throw example::failure{"licensing had missed nothing, so its restart shows nothing"};
  }

  tell("An audit is added: another group, from the earliest offset. Nobody else is touched.");
  h.run_audit();

  tell(fmt::format("Licensing is stopped; {} changes are left for the next run with this store.", changes));
  h.change().value();
  auto proof = h.proof();
  h.close();

  proof.push_back(run_comparison(directory.path(), o));
  tell("");
  for (const auto& line : example::render(proof, "no stale answer, and nothing missed")) tell(line);
  return example::all_hold(proof) ? 0 : 1;
}

}  // namespace cache_sync
