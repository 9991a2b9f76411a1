#include "demo.hpp"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include <common/claim.hpp>
#include <common/run_directory.hpp>
#include <common/text.hpp>

#include "audience.hpp"
#include "host.hpp"
#include "leaks.hpp"
#include "members.hpp"

namespace live_profile {
namespace {

using example::claim;
using example::grouped;

/// A viewer whose connection takes nothing for so long is disconnected.
constexpr std::chrono::seconds stalled_max{30};

constexpr user_id ada = 1;
constexpr user_id grace = 2;

void tell(std::string_view text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

std::string describe(const queue_figures& f) {
  return fmt::format("{} queues, {} bindings, {} messages", grouped(f.queues), grouped(f.bindings),
                     grouped(f.messages));
}

/// What happens, step by step.
class story {
 public:
  story(const std::filesystem::path& store, const options& o)
      : viewers_{o.viewers}, changes_{o.changes}, host_{store}, audience_{host_} {}

  /// Returns the exit status.
  int tell_all() {
    open();
    connect();
    change_profiles();
    change_a_password();
    come_and_go();
    fall_behind();
    leave();
    look_for_secrets();
    host_.close();
    tell("");
    for (const auto& line : example::render(proof_, "every screen was right, and nothing private was told")) {
      tell(line);
    }
    return example::all_hold(proof_) ? 0 : 1;
  }

 private:
  void open() {
    const auto there = host_.profiles().size();
    const auto members = sample_members();
    if (there >= members.size()) {
      tell(fmt::format("A store with {} users: {}.", there, describe(host_.figures())));
      return;
    }
    tell("Users sign up; nobody watches them.");
    for (auto n = there; n < members.size(); ++n) {
      static_cast<void>(host_.users().sign_up(members[n].public_part, members[n].private_part).value());
    }
    tell(fmt::format("  {} events, and nothing is kept for anybody: {}", grouped(host_.events()),
                     describe(host_.figures())));
  }

  void connect() {
    tell("Viewers connect: to Ada's page, to that of her team, to a directory of all.");
    audience_.connect("page", {ada});
    audience_.connect("team", {ada, grace});
    audience_.connect("directory");
    show();
  }

  void change_profiles() {
    change(ada, "writing a program");
    show();
    change(grace, "debugging");
    show();
  }

  void change_a_password() {
    tell("Grace changes her password.");
    const auto before = host_.events();
    const auto changed = with_new_password(sample_members()[grace - 1].private_part);
    static_cast<void>(host_.users().change_credentials(grace, changed).value());
    tell(fmt::format("  {} events: nobody is told", host_.events() - before));
  }

  void come_and_go() {
    tell(fmt::format("The team's page is closed. Before: {}.", describe(host_.figures())));
    audience_.disconnect("team");
    tell(fmt::format("  after: {}", describe(host_.figures())));
    change(ada, "at the engine");
    change(grace, "on leave");
    show();
    tell(fmt::format("  nothing piles up for the team: {}", describe(host_.figures())));
    tell("It is opened again: its snapshot holds what it has missed.");
    audience_.connect("team", {ada, grace});
    show();
  }

  void fall_behind() {
    tell(fmt::format("A viewer connects over a slow network, and {} others. Ada changes {} times.",
                     grouped(viewers_), grouped(changes_)));
    auto& slow = audience_.connect("slow");
    for (std::size_t n = 1; n <= viewers_; ++n) audience_.connect(fmt::format("viewer {}", n));
    audience_.take_all();
    const auto others = audience_.size() - 1;
    const auto shown_before = audience_.changes_shown();
    slow.freeze();
    for (std::size_t n = 1; n <= changes_; ++n) {
      set_status(ada, fmt::format("on page {}", n));
      audience_.take_all();  // the others show it before the next change is made
    }
    const auto shown = audience_.changes_shown() - shown_before;
    const auto waiting = host_.figures().messages;
    tell(fmt::format("  the {} who watch her showed each before the next was made", others));
    tell(fmt::format("  the slow one took {}; {} wait in its queue", slow.changes(), grouped(waiting)));
    add_proof_of_independence(shown, others * changes_, slow.changes(), waiting);

    tell(fmt::format("For {} s it takes nothing.", stalled_max.count()));
    host_.clock().advance(stalled_max);
    const auto dropped = host_.viewers().drop_stalled(stalled_max).value();
    tell(fmt::format("  {} viewer is disconnected ({}): {}", dropped, slow.end(), describe(host_.figures())));
    audience_.forget("slow");
    static_cast<void>(audience_.take_lines());
    tell("It connects anew: a snapshot stands for all that it has missed.");
    audience_.connect("slow");
    show();
  }

  void leave() {
    proof_.push_back(audience_.in_order());
    proof_.push_back(audience_.up_to_date());
    tell(fmt::format("All viewers leave. Before: {}.", describe(host_.figures())));
    audience_.disconnect_all();
    const auto routed = host_.bus().stats().value().queues.routed;
    change(grace, "back at work");
    const auto after = host_.figures();
    tell(fmt::format("  after: {}", describe(after)));
    claim c{"nothing was kept for viewers who had gone", describe(after), {}};
    if (after != queue_figures{}) c.violations.emplace_back("something was");
    if (host_.bus().stats().value().queues.routed != routed)
      c.violations.emplace_back("a queue got a message");
    proof_.push_back(std::move(c));
  }

  void look_for_secrets() {
    const auto secrets = sample_secrets();
    auto report = find_leaks(host_.bus(), secrets);
    proof_.push_back(
        {"no private field was told",
         fmt::format("{} secrets looked for in {} events", secrets.size(), grouped(report.records)),
         std::move(report.leaks)});
  }

  void add_proof_of_independence(std::uint64_t shown, std::uint64_t due, std::uint64_t slow_shown,
                                 std::uint64_t waiting) {
    claim c{"a slow viewer held up nobody",
            fmt::format("{} changes shown by others, {} by it", grouped(shown), grouped(slow_shown)),
            {}};
    if (shown != due) c.violations.push_back(fmt::format("{} changes were due", grouped(due)));
    if (slow_shown != 0) c.violations.emplace_back("it was not slow");
    if (waiting != changes_) c.violations.push_back(fmt::format("{} wait for it", grouped(waiting)));
    proof_.push_back(std::move(c));
  }

  /// Returns the user's name.
  std::string set_status(user_id id, std::string status) {
    auto name = host_.profile(id).name;
    static_cast<void>(host_.users().change(id, {name, std::move(status)}).value());
    return name;
  }
  void change(user_id id, const std::string& status) {
    tell(fmt::format("{} is now '{}'.", set_status(id, status), status));
  }

  void show() {
    audience_.take_all();
    for (const auto& line : audience_.take_lines()) tell(line);
  }

  const std::size_t viewers_;
  const std::size_t changes_;
  host host_;
  audience audience_;
  std::vector<claim> proof_;
};

}  // namespace

int run_demo(const options& o) {
  const example::run_directory directory{o.directory, "live-profile"};
  return story{directory.path() / "store", o}.tell_all();
}

}  // namespace live_profile
