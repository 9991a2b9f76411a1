#include <crash/arguments.hpp>

#include <charconv>
#include <stdexcept>

namespace levada::crash {

arguments::arguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.compare(0, 2, "--") != 0) {
      words_.push_back(word);
    } else if (i + 1 < argc) {
      options_[word] = argv[++i];
    } else {
      throw std::invalid_argument{"'" + word + "' needs a value"};
    }
  }
}

std::string arguments::positional(const std::string& what) {
  if (words_.empty()) throw std::invalid_argument{what + " is missing"};
  std::string word = words_.front();
  words_.erase(words_.begin());
  return word;
}

std::optional<std::string> arguments::text(const std::string& name) {
  const auto found = options_.find(name);
  if (found == options_.end()) return std::nullopt;
  std::string value = found->second;
  options_.erase(found);
  return value;
}

std::uint64_t arguments::number(const std::string& name, std::uint64_t otherwise) {
  const auto given = text(name);
  if (!given) return otherwise;
  std::uint64_t value = 0;
  const char* const end = given->data() + given->size();
  const auto parsed = std::from_chars(given->data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    throw std::invalid_argument{"'" + name + "' needs a number, not '" + *given + "'"};
  }
  return value;
}

sealing arguments::seals() {
  const auto given = text("--sealing");
  if (!given || *given == "on-call") return sealing::on_call;
  if (*given == "in-background") return sealing::in_background;
  throw std::invalid_argument{"sealing is on-call or in-background, not '" + *given + "'"};
}

durability arguments::mode() {
  const auto given = text("--durability");
  if (!given || *given == "sync") return durability::synced;
  if (*given == "checkpointed") return durability::checkpointed;
  throw std::invalid_argument{"durability is sync or checkpointed, not '" + *given + "'"};
}

workload arguments::work() {
  const auto given = text("--history");
  if (!given || *given == "logs") return workload::logs;
  if (*given == "queues") return workload::queues;
  throw std::invalid_argument{"a history is of logs or of queues, not of '" + *given + "'"};
}

planted_fault arguments::planted() {
  const auto given = text("--planted");
  if (!given) return planted_fault::none;
  if (*given == "ack-before-publish") return planted_fault::ack_before_publish;
  if (*given == "ack-without-publish") return planted_fault::ack_without_publish;
  if (*given == "settle-without-ack") return planted_fault::settle_without_ack;
  if (*given == "commit-without-commit") return planted_fault::commit_without_commit;
  if (*given == "dead-letter-in-two-steps") return planted_fault::dead_letter_in_two_steps;
  throw std::invalid_argument{"no fault is named '" + *given + "'"};
}

void arguments::end() const {
  if (!words_.empty()) throw std::invalid_argument{"'" + words_.front() + "' was not expected"};
  if (!options_.empty()) throw std::invalid_argument{"'" + options_.begin()->first + "' was not expected"};
}

}  // namespace levada::crash
