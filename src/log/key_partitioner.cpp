#include <levada/partitioner.hpp>
#include <levada/publishing.hpp>

namespace levada {
namespace {

/// To the partition of the batch.
class by_batch final : public partitioner {
 public:
  partition_id choose(const record&, std::uint32_t partitions) override {
    used_ = true;
    return partition_id{batch_ % partitions};
  }
  void batch_ended() noexcept override {
    // One that it chose nothing for leaves the next one its turn.
    if (used_) ++batch_;
    used_ = false;
  }

 private:
  std::uint32_t batch_ = 0;
  bool used_ = false;
};

class by_key final : public partitioner {
 public:
  partition_id choose(const record& r, std::uint32_t partitions) override {
    return r.key() ? partition_for_key(*r.key(), partitions) : without_key_.choose(r, partitions);
  }
  void batch_ended() noexcept override { without_key_.batch_ended(); }

 private:
  by_batch without_key_;
};

}  // namespace

partitioner::~partitioner() = default;

std::shared_ptr<partitioner> key_partitioner() {
  return std::make_shared<by_key>();
}
std::shared_ptr<partitioner> sticky_partitioner() {
  return std::make_shared<by_batch>();
}

}  // namespace levada
