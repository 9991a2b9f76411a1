#include <levada/publishing.hpp>

#include <fmt/format.h>

#include <utility>

#include "bus/publish_batch_impl.hpp"

namespace levada {

publish_batch::publish_batch(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
publish_batch::publish_batch(publish_batch&&) noexcept = default;
publish_batch& publish_batch::operator=(publish_batch&&) noexcept = default;
publish_batch::~publish_batch() = default;

result<publish_batch::slot> publish_batch::add(const record& r) {
  return impl_->add(std::nullopt, r);
}
result<publish_batch::slot> publish_batch::add(partition_id partition, const record& r) {
  return impl_->add(partition, r);
}
result<publish_batch::slot> publish_batch::add(std::string_view value) {
  return impl_->add(std::nullopt, log::record_source{.value = value});
}
result<publish_batch::slot> publish_batch::add(std::string_view key, std::string_view value) {
  if (key.size() > key_bytes_max) {
    return error{errc::field_too_long, fmt::format("encode record: the key has {} bytes, the limit is {}",
                                                   key.size(), key_bytes_max)};
  }
  return impl_->add(std::nullopt, log::record_source{.key = key, .value = value, .has_key = true});
}
result<publish_batch::slot> publish_batch::add(partition_id partition, std::string_view value) {
  return impl_->add(partition, log::record_source{.value = value});
}
std::size_t publish_batch::size() const noexcept {
  return impl_->records();
}
std::size_t publish_batch::bytes() const noexcept {
  return impl_->bytes();
}
void publish_batch::clear() noexcept {
  impl_->clear();
}

}  // namespace levada
