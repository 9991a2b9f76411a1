#pragma once

/// @file
/// Records that are read without a log.

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "log/record_codec.hpp"

#include <levada/record_batch.hpp>

namespace levada::log::test {

/// A batch of one record, which has been encoded.
inline record_batch batch_of(const std::vector<std::byte>& bytes) {
  auto content = std::make_shared<detail::record_access::batch_content>();
  const auto owner = std::make_shared<const std::vector<std::byte>>(bytes);
  content->slices.push_back({"t", partition_id{}, offset{}, 1, timestamp{}, 1, owner->data(), owner->size()});
  content->owners.push_back(owner);
  content->records = 1;
  record_batch batch;
  detail::record_access::fill(batch, std::move(content));
  return batch;
}

}  // namespace levada::log::test
