#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <crash/victim.hpp>

namespace levada::crash {

/// A command line of words and `--name value` pairs, each to be asked for once. Throws
/// `std::invalid_argument` for what is missing, broken or left over.
class arguments {
 public:
  arguments(int argc, char** argv);

  [[nodiscard]] std::string positional(const std::string& what);
  [[nodiscard]] std::optional<std::string> text(const std::string& name);
  [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise);
  /// Takes `--sealing`.
  [[nodiscard]] sealing seals();
  /// Takes `--durability`.
  [[nodiscard]] durability mode();
  /// Takes `--history`.
  [[nodiscard]] workload work();
  /// Takes `--planted`.
  [[nodiscard]] planted_fault planted();
  /// Everything must have been asked for.
  void end() const;

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::string> options_;
};

}  // namespace levada::crash
