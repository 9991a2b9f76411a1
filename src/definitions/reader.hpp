#pragma once

/// @file
/// Reading definitions.

#include <boost/json/value.hpp>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "definitions/arguments.hpp"
#include "definitions/members.hpp"
#include "definitions/plan.hpp"
#include "definitions/surroundings.hpp"

#include <levada/definitions.hpp>

namespace levada::definitions {

/// Reads definitions into a plan, and says what it leaves out.
class reader {
 public:
  reader(const surroundings& around, const definitions_import_options& options)
      : around_{around}, options_{options} {}

  [[nodiscard]] result<void> read(const boost::json::value& definitions);
  [[nodiscard]] const plan& to_do() const noexcept { return plan_; }
  /// In the order of the definitions.
  [[nodiscard]] std::vector<definitions_finding> findings() const;

 private:
  /// What another virtual host has, by the name of its member.
  struct other_host {
    std::size_t member;
    std::map<std::string_view, std::size_t> counts;
  };
  using read_function = result<void> (reader::*)(members&);

  void note(std::string where, remark what) {
    findings_.emplace_back(member_, definitions_finding{what.weight, std::move(where), std::move(what.what)});
  }
  [[nodiscard]] result<void> read_member(std::string_view name, const boost::json::value& value);
  [[nodiscard]] result<void> read_all(std::string_view kind, const boost::json::value& value,
                                      read_function one);
  [[nodiscard]] result<bool> is_elsewhere(std::string_view kind, members& of);
  void note_left(const members& of);

  [[nodiscard]] result<void> read_exchange(members& of);
  [[nodiscard]] result<void> read_queue(members& of);
  [[nodiscard]] result<void> read_binding(members& of);
  [[nodiscard]] result<void> read_policy(members& of);
  [[nodiscard]] result<void> read_parameter(members& of);
  [[nodiscard]] result<void> read_operator_policy(const std::string& where, std::string name, members& of);
  [[nodiscard]] result<std::optional<policy_options>> read_policy_options(members& of);
  template <class Info>
  [[nodiscard]] result<void> add_policy(const std::string& where, Info what, std::vector<Info>& to);

  [[nodiscard]] result<bool> check_own_name(const std::string& where, const char* kind,
                                            const std::string& name);
  template <class Options>
  [[nodiscard]] result<bool> read_arguments(const members& of, const boost::json::object& arguments,
                                            Options& to);
  template <class Options>
  [[nodiscard]] result<void> add(std::string where, planned<Options> what, std::vector<planned<Options>>& to,
                                 std::map<std::string, std::size_t, std::less<>>& names,
                                 const Options* existing);
  [[nodiscard]] result<std::optional<binding_arguments>> read_binding_arguments(members& of);
  [[nodiscard]] std::optional<std::string> missing_exchange(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> missing_queue(std::string_view name) const;
  [[nodiscard]] const exchange_options& exchange_of(std::string_view name) const;

  const surroundings& around_;
  const definitions_import_options& options_;
  bool rabbitmqs_own_ = false;
  plan plan_;
  /// Where in the plan an exchange or a queue is.
  std::map<std::string, std::size_t, std::less<>> exchange_places_;
  std::map<std::string, std::size_t, std::less<>> queue_places_;
  std::set<std::string, std::less<>> exchanges_left_out_;
  std::set<std::string, std::less<>> queues_left_out_;
  std::set<std::string> binding_identities_;
  /// Which member of the definitions is being read.
  std::size_t member_ = 0;
  std::map<std::string, other_host, std::less<>> others_;
  std::vector<std::pair<std::size_t, definitions_finding>> findings_;
};

}  // namespace levada::definitions
