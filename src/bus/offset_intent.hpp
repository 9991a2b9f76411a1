#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/core.hpp"

#include <levada/types.hpp>

namespace levada {

/// An offset to be committed.
struct offset_entry {
  topic_partition where;
  std::uint32_t log;
  std::uint64_t next;
};

/// Stores offsets of one group, if the member owns the partitions at the time of the commit.
class offset_intent : public intent {
 public:
  offset_intent(std::shared_ptr<group_slot> group, std::string member, std::vector<offset_entry> entries)
      : group_{std::move(group)}, member_{std::move(member)}, entries_{std::move(entries)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}

 private:
  const std::shared_ptr<group_slot> group_;
  const std::string member_;
  const std::vector<offset_entry> entries_;
};

}  // namespace levada
