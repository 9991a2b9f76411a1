#include "store_contents.hpp"

#include <levada/attachment.hpp>

#include "records.hpp"
#include "store.hpp"

namespace emergency {
namespace {

std::vector<stored_record> all_records(const levada::attachment& store, const std::string& topic) {
  std::vector<stored_record> records;
  auto replay = store.replay(topic).value();
  for (auto batch = replay.next().value(); !batch.empty(); batch = replay.next().value()) {
    for (const auto& r : batch) {
      const auto line = topic == names::exchange ? r.routing_key() : r.key();
      records.push_back({call_id_in(r), std::string{line}, std::string{r.value()}, r.partition()});
    }
  }
  return records;
}

std::uint64_t notifier_lag(const levada::attachment& store) {
  std::uint64_t lag = 0;
  for (const auto& group : store.groups().value()) {
    if (group.name != names::notifier_group) continue;
    for (const auto& p : group.partitions) lag += p.lag;
  }
  return lag;
}

store_contents read_logs(const levada::attachment& store) {
  store_contents contents;
  contents.alerts = all_records(store, names::alerts);
  contents.acceptances = all_records(store, names::acceptances);
  contents.handed = all_records(store, names::exchange);
  contents.alerts_to_do = notifier_lag(store);
  contents.queues = store.queues().value().size();
  return contents;
}

}  // namespace

store_contents read_back(const std::filesystem::path& directory) {
  // One after the other, since a process opens a store once.
  auto contents = read_logs(levada::attachment::open(store_in(directory)).value());
  contents.check = levada::check_store(store_in(directory)).value();
  return contents;
}

}  // namespace emergency
