#include <levada/partitioner.hpp>
#include <levada/publishing.hpp>

namespace levada {
namespace {

/// By key; without one, to the partition of the batch.
class key_or_batch final : public partitioner {
 public:
  partition_id choose(const record& r, std::uint32_t partitions) override {
    if (r.key()) return partition_for_key(*r.key(), partitions);
    used_ = true;
    return partition_id{batch_ % partitions};
  }
  void batch_ended() noexcept override {
    // One of keyed records alone leaves the next one its turn.
    if (used_) ++batch_;
    used_ = false;
  }

 private:
  std::uint32_t batch_ = 0;
  bool used_ = false;
};

}  // namespace

partitioner::~partitioner() = default;

std::shared_ptr<partitioner> key_partitioner() {
  return std::make_shared<key_or_batch>();
}
std::shared_ptr<partitioner> sticky_partitioner() {
  return std::make_shared<key_or_batch>();
}

}  // namespace levada
