#include <levada/partitioner.hpp>

namespace levada {
namespace {

class in_turn final : public partitioner {
 public:
  partition_id choose(const record&, std::uint32_t partitions) override {
    return partition_id{next_++ % partitions};
  }

 private:
  std::uint32_t next_ = 0;
};

}  // namespace

std::shared_ptr<partitioner> round_robin_partitioner() {
  return std::make_shared<in_turn>();
}

}  // namespace levada
