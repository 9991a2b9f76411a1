#include "cli/arguments.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/time_text.hpp"

#include <levada/version.hpp>

namespace levada::cli {
namespace {

constexpr const char* program_footer =
    R"(Exit status: 0 on success, 1 on failure or where `check` finds a problem, 2 where the command line is
wrong, 128 and its number after a signal. Listings, `tail`, `replay` and `check` only read, and work beside a
process that owns the store, as does `definitions export`; `produce`, `repair` and `definitions import` need the
store for themselves; `groups reset` and `groups delete` ask the process that owns it.)";

constexpr const char* produce_footer =
    R"(Lines may hold any bytes; the newline is not stored; a last line without one counts. Records become durable
in batches, and whenever no more input is waiting. The store is made if there is none.

Without --partition a line with a key goes to the partition of its key, as in Kafka. Lines without a key go to
the partitions in turn, a batch each, so that `tail` prints them in their order.

Says nothing when all went well. SIGINT, SIGTERM or SIGHUP: stores the whole lines read so far, says how many,
and ends.)";

constexpr const char* topics_footer =
    R"(KEEPS tells what stays: "all", or how long, how many bytes and how many records, "forced" where queues do not
hold it back, "waits for readers" where groups and jobs do, "compacted" where only the latest record of a key is
sure to stay. "create time" follows where publishers give the time, "lz4" or "zstd" where sealed records are
compressed.)";

constexpr const char* reset_footer =
    R"(Without --execute nothing is changed: the table tells what would be. TIME is one of
  2026-01-31T12:00:00Z  a time (RFC 3339)
  @1769860800           the same, in seconds since 1970
  -90s -10m -2h -7d     the same, counted back from now
LENGTH is 90s, 10m, 2h or 7d, counted back by the clock of the store.

An offset outside of a partition is moved to the nearer end of it. The group must have no members.)";

constexpr const char* delete_footer =
    R"(Forgets the group and what it has committed. Without --execute nothing is changed. The group must have no
members.)";

constexpr const char* changing_footer =
    R"(

Where a process owns the store, it is asked to do it; it must listen for that (bus_options::control_socket). Else
the command opens the store itself.)";

constexpr const char* export_footer =
    R"(Prints all exchanges, queues and bindings as JSON, in the shape of RabbitMQ's definitions; what RabbitMQ has not
stands in arguments that begin with "x-levada-". Works beside a process that owns the store.)";

constexpr const char* import_footer =
    R"(FILE is what `levada definitions export` or RabbitMQ's `rabbitmqctl export_definitions` has written; - is
standard input. Needs the store for itself, and makes it if there is none. What exists already, and is equal,
stays as it is.

Prints a line for each thing that is not taken over: "without meaning" where it says nothing about what becomes
of messages here, "unknown" else. Where something is unknown nothing is changed, and the exit status is 1; with
--skip-unknown the rest is imported. An argument that is unknown is left out; an exchange or a queue of an
unknown type is left out as a whole, and so is a binding with an unknown argument.

With --json an object with applied, exchanges, queues, bindings and findings.)";

constexpr const char* jobs_footer =
    R"(PROCESS is empty where no process runs the job now, and followed by "stopped" where a signal has stopped it.
NEXT is the offset that the job reads next, as of its last checkpoint.)";

constexpr const char* trace_footer =
    R"(Reads the flow ledger, which a bus keeps that was opened with bus_options::ledger, and prints each message with
that id, what happened to it in its queues, and below it what was published on its account: dead letters, and
what handlers have published. Times count from the publishing of the first; "delivered" is when a consumer had
got the message. Works beside a process that owns the store.

With --json, "cause" is the number of the message, from 0, that a message was published for, or null.)";

constexpr const char* why_space_footer =
    R"(Tells of each part of the disk space that the store's files take why it is there, the largest part first. The
parts add up to what `du` counts for the files. HOLDER is the queue, group, job or process that keeps what its
limits would let go; FROM is the oldest record that it needs. What to do about it, by WHY (in JSON: reason):

  no limit           no_limit: give the topic a retention policy
  within limits      within_limits: what the topic's policy keeps; tighten it
  queue              queue_reference: consume the queue, or delete it
  delayed            delayed_message: a message waits to be routed; let it, or cancel it
  backfill           backfill: it is still to be entered into a queue; let it, or unbind or purge the queue
  group behind       lagging_group: let the group read on and commit, or let the topic wait for readers no
                     longer
  job behind         lagging_job: the same for a job, or remove it
  not needed         awaits_rewriting: maintenance drops it with its segment, or writes the segment anew once
                     more than half of it is of no use
  not sealed yet     awaits_sealing: newer records, in the main file; sealing moves them into segments
  checkpoint due     awaits_checkpoint: goes with the next checkpoint, or when the owner opens the store anew
  open view          held_view: the program that owns the store still holds batches or passes over what has
                     been dropped; seen by that program alone
  old snapshot       held_snapshot: freed pages of the main file; a process, by its number, keeps them from
                     being used again: let it go on, or end it
  free               free_pages: used again before the main file grows; only a restored backup is smaller
  bookkeeping        what else the files hold: catalogue, offsets, queues, ends of pages)";

constexpr const char* tail_footer =
    R"(FROM is one of
  earliest              the oldest record (the default without -f)
  latest                what comes from now on (the default with -f)
  42                    the record at this offset; needs --partition where the topic has several
  2026-01-31T12:00:00Z  the first record stored at or after this time (RFC 3339)
  @1769860800           the same, in seconds since 1970
  -90s -10m -2h -7d     the same, counted back from now

Ends at the end of the log as it is now unless -f is given.)";

constexpr const char* replay_footer =
    R"(FROM and UNTIL are
  earliest              the oldest record (the default of --from; not for --until)
  latest                behind the newest record (the default of --until)
  42                    this offset; needs --partition where the topic has several
  2026-01-31T12:00:00Z  in each partition the first record at or after this time (RFC 3339)
  @1769860800           the same, in seconds since 1970
  -90s -10m -2h -7d     the same, counted back from now

Ends before the record at UNTIL, and waits for it where it is an offset still to come. With -f nothing but
--count or a signal ends it. With --all each line begins with the topic's name and a tab.)";

constexpr const char* backup_footer =
    R"(The backup is a store like any other, as of one commit: it can be read, checked, and opened by a program.
BACKUP must not exist, or be an empty directory. Works beside a process that owns the store, which goes on.
Sealed segments never change, and are shared as hard links where both lie on one file system.)";

constexpr const char* restore_footer =
    R"(Makes DIR, which must not exist or be an empty directory, from a backup, which stays as it is.)";

constexpr const char* repair_footer =
    R"(Needs the store for itself. What is left stays in its place: offsets are what they were, and those that are
lost are never used again; groups, queues and jobs go on behind them. A crash in the middle leaves the store
damaged as before, or repaired. What is left of damaged segments is written anew before they are given up, so
there must be room for it.

Prints a line for each range of records that is lost, and why, and for each queue how many of its messages are.
The exit status is 0 where the store is sound or has been repaired, 1 where --dry-run finds something.

Where the structure of the main file is damaged, or its catalogue, nothing is changed: restore a backup.)";

constexpr const char* printing_footer =
    R"(

Values are written byte for byte, each followed by a newline. With --json each record is an object with topic,
partition, offset, timestamp, routing_key, key, value, headers and properties; what is not UTF-8 comes as
base64 in a field with "_base64" added to its name.

Records that are damaged, or were removed before they could be read, are reported; what stands behind them is
printed, and the exit status is 1.)";

/// What is typed behind the program's name for a command: "groups reset".
std::string words_of(const CLI::App* command) {
  const auto* const above = command->get_parent();
  if (above == nullptr || above->get_parent() == nullptr) return command->get_name();
  return words_of(above) + ' ' + command->get_name();
}

/// Help in the words of this program: a usage line that can be typed, options without remarks in capitals.
class help_format final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string /*name*/) const override {
    if (app->get_parent() == nullptr) return "Usage: levada COMMAND [NAME] --dir DIR [options]\n";
    std::string usage = "Usage: levada " + words_of(app);
    const auto positional = [](const CLI::Option* o) { return o->get_positional(); };
    for (const auto* const o : app->get_options(positional)) usage += ' ' + make_option_usage(o);
    return usage + " --dir DIR [options]\n";
  }
  std::string make_option_opts(const CLI::Option* o) const override {
    return o->get_positional() || o->get_type_size() == 0 ? "" : ' ' + o->get_type_name();
  }
  /// Exactly one line break at the end, with a footer and without.
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
    while (help.ends_with("\n\n")) help.pop_back();
    return help;
  }
};

/// A header as given on the command line.
std::optional<header> parse_header(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return std::nullopt;
  return header{text.substr(0, equals), text.substr(equals + 1)};
}

/// The decimal number of an option. CLI11 by itself would also take octal numbers, wrap negative ones around
/// and cut large ones off.
template <class Number>
Number parse_number(const std::string& name, const std::string& text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stop != end) {
    throw CLI::ValidationError{
        name, fmt::format("'{}' is not a number from 0 to {}", text, std::numeric_limits<Number>::max())};
  }
  return number;
}

/// Adds an option that takes one.
template <class Number>
void add_number(CLI::App* command, const std::string& name, std::optional<Number>& target,
                const std::string& description) {
  const auto set = [&target, name](const std::string& text) { target = parse_number<Number>(name, text); };
  command->add_option_function<std::string>(name, set, description)->type_name("N");
}

/// What `parse` makes of an option's text.
template <class Position>
Position parse_position(const char* option, const std::string& text, timestamp now,
                        std::optional<Position> (*parse)(std::string_view, timestamp), const char* words) {
  if (auto position = parse(text, now)) return *position;
  throw CLI::ValidationError{option, fmt::format("'{}' is none of {}, an offset, a time such as "
                                                 "2026-01-31T12:00:00Z, @SECONDS, or an age such as -10m",
                                                 text, words)};
}

/// A speed as given on the command line.
double parse_speed(const std::string& text) {
  double speed = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, speed);
  if (failure != std::errc{} || stop != end || !std::isfinite(speed) || speed < 0) {
    throw CLI::ValidationError{"--speed", fmt::format("'{}' is not a number from 0 on", text)};
  }
  return speed;
}

/// The program's command line, and where its parts go.
class command_line {
 public:
  command_line() : app_{"Looks into and writes to levada stores.", "levada"} {
    // At most one, so that a topic may have the name of a command.
    app_.require_subcommand(1);
    // Commands start with the formatter and the help option that the program has by then; the footer is not
    // for them.
    app_.formatter(std::make_shared<help_format>());
    app_.set_help_flag("-h,--help", "Print this help");
    app_.set_version_flag("--version", fmt::format("levada {}.{}.{}", LEVADA_VERSION_MAJOR,
                                                   LEVADA_VERSION_MINOR, LEVADA_VERSION_PATCH));
    app_.get_option("--version")->description("Print the version");
    using subject = list_request::subject;
    add_list("topics", "List topics and exchanges' logs by partition, and what they keep", subject::topics,
             "Only this topic")
        ->footer(topics_footer);
    add_produce();
    add_tail();
    add_replay();
    add_groups();
    add_list("queues", "List queues and how many messages they hold", subject::queues, "Only this queue");
    add_list("exchanges", "List exchanges", subject::exchanges, "Only this exchange");
    add_list("bindings", "List bindings of queues to exchanges", subject::bindings,
             "Only those of this exchange");
    add_list("policies", "List policies and operator policies, and what each sets", subject::policies,
             "Only those of this name");
    add_list("jobs", "List attached jobs: process, last checkpoint, and lag by partition", subject::jobs,
             "Only this job")
        ->footer(jobs_footer);
    add_definitions();
    add_trace();
    add_why_space();
    add_check();
    add_repair();
    add_copy("backup", "Copy a store, also one that is in use", "Where to", false)->footer(backup_footer);
    add_copy("restore", "Make a store from a backup", "Where from", true)->footer(restore_footer);
    app_.footer(program_footer);
  }

  request parse(int argc, const char* const* argv, timestamp now) {
    now_ = now;
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
      return explain(e, argc > 1 ? argv[1] : "");
    }
    return std::visit(
        [this](auto asked) -> request {
          asked.directory = directory_;
          return asked;
        },
        asked_);
  }

 private:
  using real_request = std::variant<list_request, produce_request, replay_request, check_request,
                                    copy_request, repair_request, space_request, reset_request,
                                    deletion_request, export_request, import_request, trace_request>;

  CLI::App* add_command(const char* name, const char* description) {
    auto* const command = app_.add_subcommand(name, description)->group("Commands");
    command->add_option("--dir", directory_, "The store's directory")->required()->type_name("DIR");
    return command;
  }

  CLI::App* add_list(const char* name, const char* description, list_request::subject what,
                     const char* name_description) {
    auto* const command = add_command(name, description);
    command->add_option("NAME", name_, name_description);
    command->add_flag("--json", list_.json, "Print one JSON object a line");
    command->callback([this, what, command] {
      if (!command->get_subcommands().empty()) return;
      if (command->count("--dir") == 0) throw CLI::RequiredError{"--dir"};
      list_.what = what;
      if (command->count("NAME") > 0) list_.name = name_;
      asked_ = list_;
    });
    return command;
  }

  /// The listing, and below it what changes groups.
  void add_groups() {
    auto* const groups =
        add_list("groups", "List consumer groups: members, committed offset, end and lag by partition",
                 list_request::subject::groups, "Only this group");
    groups->require_subcommand(0, 1);
    // It may stand before or behind the second word.
    groups->get_option("--dir")->required(false);
    add_reset(groups);
    add_delete(groups);
  }

  CLI::App* add_below(CLI::App* groups, const char* name, const char* description, std::string& group) {
    auto* const command = groups->add_subcommand(name, description)->group("Commands");
    command->add_option("--dir", directory_, "The store's directory")->type_name("DIR");
    command->add_option("GROUP", group, "The group")->required();
    command->add_flag("--execute", execute_, "Do it; without, only tell what would be done");
    return command;
  }
  void check_below(const CLI::App* groups, const CLI::App* command) const {
    if (groups->count("NAME") > 0) {
      throw CLI::ValidationError{fmt::format("'{}' does not go with {}", name_, command->get_name())};
    }
    check_directory(groups, command);
  }

  void add_reset(CLI::App* groups) {
    auto* const command =
        add_below(groups, "reset", "Set how far a group without members has read a topic", reset_.group);
    command->footer(std::string{reset_footer} + changing_footer);
    command->add_option("--topic", reset_.topic, "The topic, or an exchange for its log")->required();
    command->add_option("--partition", partitions_, "Only this partition; may be repeated; by default all")
        ->type_name("N")
        ->allow_extra_args(false);
    command->add_flag("--to-earliest", to_earliest_, "To the oldest record");
    command->add_flag("--to-latest", to_latest_, "Behind the newest record");
    add_number(command, "--to-offset", to_offset_, "To this offset");
    command->add_option("--to-time", to_time_, "To the first record at or after a time; see below")
        ->type_name("TIME");
    command->add_option("--by-duration", by_duration_, "To the first record not older than this; see below")
        ->type_name("LENGTH");
    command->add_flag("--json", reset_.json, "Print one JSON object a line");
    command->callback([this, groups, command] {
      check_below(groups, command);
      for (const auto& text : partitions_)
        reset_.options.partitions.emplace_back(parse_number<std::uint32_t>("--partition", text));
      reset_.options.to = reset_target(command);
      reset_.options.dry_run = !execute_;
      reset_.json = reset_.json || list_.json;
      asked_ = reset_;
    });
  }
  decltype(offset_reset_options::to) reset_target(const CLI::App* command) const {
    std::size_t given = 0;
    for (const char* const name :
         {"--to-earliest", "--to-latest", "--to-offset", "--to-time", "--by-duration"}) {
      if (command->count(name) > 0) ++given;
    }
    if (given != 1) {
      throw CLI::RequiredError{
          "exactly one of --to-earliest, --to-latest, --to-offset, --to-time and --by-duration"};
    }
    if (to_latest_) return from_latest{};
    if (to_offset_) return offset{*to_offset_};
    if (command->count("--to-time") > 0) {
      const auto position = parse_start(to_time_, now_);
      if (position && std::holds_alternative<timestamp>(*position)) return std::get<timestamp>(*position);
      throw CLI::ValidationError{"--to-time", fmt::format("'{}' is no time such as 2026-01-31T12:00:00Z, "
                                                          "@SECONDS, or an age such as -10m",
                                                          to_time_)};
    }
    if (command->count("--by-duration") > 0) {
      if (const auto length = parse_length(by_duration_)) return *length;
      throw CLI::ValidationError{"--by-duration",
                                 fmt::format("'{}' is no length of time such as 10m", by_duration_)};
    }
    return from_earliest{};
  }

  void add_delete(CLI::App* groups) {
    auto* const command = add_below(groups, "delete", "Forget a group without members", deletion_.group);
    command->footer(std::string{delete_footer} + changing_footer);
    command->callback([this, groups, command] {
      check_below(groups, command);
      deletion_.options.dry_run = !execute_;
      asked_ = deletion_;
    });
  }

  void add_definitions() {
    auto* const definitions =
        app_.add_subcommand("definitions", "Exchanges, queues and bindings as JSON, as of RabbitMQ")
            ->group("Commands");
    definitions->require_subcommand(1);
    // It may stand before or behind the second word.
    definitions->add_option("--dir", directory_, "The store's directory")->type_name("DIR");
    add_export(definitions);
    add_import(definitions);
  }
  CLI::App* add_below_definitions(CLI::App* definitions, const char* name, const char* description) {
    auto* const command = definitions->add_subcommand(name, description)->group("Commands");
    command->add_option("--dir", directory_, "The store's directory")->type_name("DIR");
    return command;
  }
  static void check_directory(const CLI::App* above, const CLI::App* command) {
    if (above->count("--dir") + command->count("--dir") == 0) throw CLI::RequiredError{"--dir"};
  }
  void add_export(CLI::App* definitions) {
    auto* const command = add_below_definitions(definitions, "export", "Print them");
    command->footer(export_footer);
    command->add_option("--vhost", export_.virtual_host, "The virtual host to name; / by default")
        ->type_name("NAME");
    command->callback([this, definitions, command] {
      check_directory(definitions, command);
      asked_ = export_;
    });
  }
  void add_import(CLI::App* definitions) {
    auto* const command = add_below_definitions(definitions, "import", "Declare what a file holds");
    command->footer(import_footer);
    command->add_option("FILE", import_.file, "The file, or - for standard input")->required();
    command->add_flag("--dry-run", import_.options.dry_run, "Only tell what would be done; change nothing");
    command->add_flag("--skip-unknown", import_.options.skip_unknown,
                      "Import the rest where something is unknown");
    command
        ->add_option("--vhost", import_.options.virtual_host,
                     "Import what belongs to this virtual host; / by default")
        ->type_name("NAME");
    command->add_flag("--json", import_.json, "Print one JSON object");
    command->callback([this, definitions, command] {
      check_directory(definitions, command);
      asked_ = import_;
    });
  }

  void add_trace() {
    auto* const command =
        add_command("trace", "Tell what has become of a message, and what was published on its account");
    command->footer(trace_footer);
    command->add_option("ID", trace_.id, "A message id, or a correlation id")->required();
    auto* const json =
        command->add_flag("--json", trace_as_json_, "Print one JSON object a line, for each message");
    command->add_flag("--mermaid", trace_as_diagram_, "Print a sequence diagram in Mermaid's language")
        ->excludes(json);
    command->add_option("--max", trace_.messages_max, "How many messages at most; 10000 by default")
        ->type_name("NUMBER");
    command->callback([this] {
      using form = trace_request::form_type;
      if (trace_as_json_) trace_.form = form::json;
      if (trace_as_diagram_) trace_.form = form::mermaid;
      asked_ = trace_;
    });
  }

  void add_why_space() {
    auto* const command =
        add_command("why-space", "Tell what takes the disk space of a store, and why it is not given back");
    command->footer(why_space_footer);
    command->add_flag("--json", space_.json, "Print one JSON object a line, with exact numbers of bytes");
    command->callback([this] { asked_ = space_; });
  }

  void add_check() {
    add_command("check", "Examine the whole store and report what does not hold together")->callback([this] {
      asked_ = check_;
    });
  }

  void add_repair() {
    auto* const command = add_command("repair", "Drop what is damaged, and tell what is lost");
    command->footer(repair_footer);
    command->add_flag("--dry-run", repair_.dry_run, "Only tell what would be lost; change nothing");
    command->callback([this] { asked_ = repair_; });
  }

  CLI::App* add_copy(const char* name, const char* description, const char* other_description, bool restore) {
    auto* const command = add_command(name, description);
    command->add_option("BACKUP", copy_.other, other_description)->required();
    command->add_flag("--copy", full_copy_, "Copy segments too, instead of linking to them");
    command->callback([this, restore] {
      copy_.restore = restore;
      copy_.hard_links = !full_copy_;
      asked_ = copy_;
    });
    return command;
  }

  void add_produce() {
    auto* const command = add_command("produce", "Store each line of standard input as a record");
    command->footer(produce_footer);
    command->add_option("TOPIC", produce_.topic, "Where to; made if there is none")->required();
    add_number(command, "--partitions", produce_.partitions,
               "How many a new topic gets, 1 by default; an existing one must have as many");
    add_number(command, "--partition", partition_, "The partition for all records; see below");
    command
        ->add_option("--key-separator", produce_.key_separator,
                     "What parts key and value, at its first occurrence; a line without it has no key")
        ->type_name("TEXT");
    command->add_option("--header", headers_, "A header for each record; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command->callback([this, command] {
      if (command->count("--key-separator") > 0 && produce_.key_separator.empty()) {
        throw CLI::ValidationError{"--key-separator", "must not be empty"};
      }
      for (const auto& text : headers_) {
        auto header = parse_header(text);
        if (!header) {
          throw CLI::ValidationError{"--header", fmt::format("'{}' is not of the form NAME=VALUE", text)};
        }
        produce_.headers.push_back(std::move(*header));
      }
      produce_.partition = partition();
      asked_ = produce_;
    });
  }

  void add_tail() {
    auto* const command = add_command("tail", "Print a topic's records");
    command->footer(std::string{tail_footer} + printing_footer);
    command->add_option("TOPIC", topic_, "The topic, or an exchange for its log")->required();
    add_printing(command);
    command->callback([this, command] {
      replay_.topic = topic_;
      if (follow_ && command->count("--from") == 0) replay_.options.from = from_latest{};
      take_printing(command);
      asked_ = replay_;
    });
  }

  void add_replay() {
    auto* const command = add_command("replay", "Print records of a topic, or of all, between two bounds");
    command->footer(std::string{replay_footer} + printing_footer);
    command->add_option("TOPIC", topic_, "The topic, or an exchange for its log");
    command->add_flag("--all", all_, "All topics and exchanges' logs, in the order of commits")
        ->excludes("TOPIC");
    add_printing(command);
    command->add_option("--until", until_, "Where to end; see below")->type_name("UNTIL")->excludes("-f");
    command
        ->add_option("--speed", speed_,
                     "1: as fast as the records came, 10: ten times as fast; by default without waiting")
        ->type_name("X");
    command->get_option("--partition")->excludes("--all");
    command->callback([this, command] {
      if (command->count("TOPIC") > 0) {
        replay_.topic = topic_;
      } else if (!all_) {
        throw CLI::RequiredError{"TOPIC or --all"};
      }
      take_printing(command);
      auto& options = replay_.options;
      if (command->count("--until") > 0) {
        options.until = parse_position("--until", until_, now_, parse_end, "latest");
      }
      if (all_ &&
          (std::holds_alternative<offset>(options.from) || std::holds_alternative<offset>(options.until))) {
        throw CLI::ValidationError{"--all", "goes with no offset: offsets belong to one topic"};
      }
      if (command->count("--speed") > 0) options.pace = parse_speed(speed_);
      replay_.format.topics = all_;
      asked_ = replay_;
    });
  }

  /// What `tail` and `replay` have in common.
  void add_printing(CLI::App* command) {
    command->add_option("--from", from_, "Where to begin; see below")->type_name("FROM");
    add_number(command, "--partition", partition_,
               "Only this partition; by default all, in the order in which records were stored");
    add_number(command, "-n,--count", replay_.count, "End after so many records");
    command->add_flag("-f,--follow", follow_, "At the end wait for more");
    auto& format = replay_.format;
    auto* const json = command->add_flag("--json", format.json, "Print one JSON object a line");
    command->add_flag("--keys", format.keys, "Print the key and a separator before a value that has a key")
        ->excludes(json);
    command->add_option("--key-separator", format.key_separator, "The separator for --keys; a tab by default")
        ->type_name("TEXT")
        ->needs("--keys");
  }
  void take_printing(const CLI::App* command) {
    if (command->count("--key-separator") == 0) replay_.format.key_separator = "\t";
    auto& options = replay_.options;
    if (command->count("--from") > 0) {
      options.from = parse_position("--from", from_, now_, parse_start, "earliest, latest");
    }
    if (!follow_) options.until = until_latest{};
    options.partition = partition();
  }

  [[nodiscard]] std::optional<partition_id> partition() const {
    if (!partition_) return std::nullopt;
    return partition_id{*partition_};
  }

  /// What the program is to do where the command line was not simply taken in: print a text, or say why not.
  [[nodiscard]] request explain(const CLI::ParseError& e, std::string_view first) const {
    if (dynamic_cast<const CLI::CallForHelp*>(&e) != nullptr) return text_request{app_.help()};
    if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      return text_request{fmt::format("{}\n", e.what())};
    }
    std::string why = "a command is needed";
    if (const auto chosen = app_.get_subcommands(); first.starts_with('-')) {
      // Also where a command follows: it lacks what stands before it.
      why = fmt::format("there is no option '{}' before a command", first);
    } else if (!chosen.empty()) {
      const auto* command = chosen.front();
      if (const auto below = command->get_subcommands(); !below.empty()) command = below.front();
      return usage_error{fmt::format("{} (see levada {} --help)", e.what(), words_of(command))};
    } else if (!first.empty()) {
      why = fmt::format("there is no command '{}'", first);
    }
    return usage_error{fmt::format("{} (see levada --help)", why)};
  }

  CLI::App app_;
  timestamp now_;
  std::string directory_;
  std::string name_;
  std::string topic_;
  std::string from_;
  std::string until_;
  std::string speed_;
  bool follow_ = false;
  bool all_ = false;
  std::optional<std::uint32_t> partition_;
  std::vector<std::string> headers_;
  list_request list_;
  produce_request produce_;
  replay_request replay_;
  check_request check_;
  repair_request repair_;
  copy_request copy_;
  space_request space_;
  trace_request trace_;
  bool trace_as_json_ = false;
  bool trace_as_diagram_ = false;
  reset_request reset_;
  deletion_request deletion_;
  export_request export_;
  import_request import_;
  std::vector<std::string> partitions_;
  bool to_earliest_ = false;
  bool to_latest_ = false;
  std::optional<std::uint64_t> to_offset_;
  std::string to_time_;
  std::string by_duration_;
  bool execute_ = false;
  bool full_copy_ = false;
  real_request asked_;
};

}  // namespace

request parse_arguments(int argc, const char* const* argv, timestamp now) {
  return command_line{}.parse(argc, argv, now);
}

}  // namespace levada::cli
