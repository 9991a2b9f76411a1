// A user's program. It touches every part of the interface, so that a symbol which a shared library fails to
// export shows here.

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include <levada/levada.hpp>

namespace {

using namespace std::chrono_literals;

/// Deriving needs the base class's virtual table and type information.
class clock_of_the_user final : public levada::clock {
 public:
  [[nodiscard]] levada::timestamp wall() const override { return system_->wall(); }
  [[nodiscard]] steady_time steady() const override { return system_->steady(); }
  void wait_until(const std::shared_ptr<levada::wait_point>& point, std::unique_lock<std::mutex>& lock,
                  steady_time deadline) override {
    system_->wait_until(point, lock, deadline);
  }

 private:
  std::shared_ptr<levada::clock> system_ = levada::clock::system();
};

std::size_t publish_and_poll(levada::bus& bus) {
  const levada::topic rain = bus.declare_topic("rain", {.partitions = 2}).value();
  (void)rain.publish(levada::record{"funchal", "12 mm"}.header("station", std::string{"522"})).value();
  levada::publish_batch batch = rain.make_batch();
  (void)batch.add("santana", "31 mm").value();
  (void)rain.publish(batch).value();

  levada::consumer gauge = bus.join("gauge", {"rain"}, {.reset = levada::offset_reset::earliest}).value();
  std::size_t polled = 0;
  while (polled < 2) {
    const levada::record_batch records = gauge.poll(10s).value();
    if (records.empty()) return polled;
    for (const levada::record_view& record : records) {
      std::printf("%s %s (%zu header)\n", std::string{record.key()}.c_str(),
                  std::string{record.value()}.c_str(), record.headers().size());
      ++polled;
    }
  }
  gauge.commit().value();
  return polled;
}

std::string route_and_receive(levada::bus& bus) {
  bus.declare_exchange("warnings").value();
  levada::exclusive_queue desk = bus.declare_anonymous_queue().value();
  bus.bind("warnings", desk.name(), "flood.#").value();
  (void)bus.publish("warnings", "flood.north", levada::record{"close the gate"}).value();
  levada::queue_consumer clerk = desk.consume().value();
  const auto delivery = clerk.receive(10s).value();
  if (!delivery) return "nothing";
  clerk.ack(*delivery).value();
  return std::string{delivery->record().value()};
}

}  // namespace

int main() {
  try {
    levada::bus bus = levada::bus::open_in_memory({.clock = std::make_shared<clock_of_the_user>()}).value();
    const std::size_t polled = publish_and_poll(bus);
    const std::string received = route_and_receive(bus);
    std::size_t replayed = 0;
    levada::replay pass = bus.replay("rain").value();
    replayed = pass.next().value().size();
    const std::string definitions = levada::export_definitions(bus).value();
    const bool taken_over = levada::import_definitions(bus, definitions).value().applied;
    bus.close().value();

    const levada::manual_clock still;
    const auto attached = levada::attachment::open("no such store");
    const auto checked = levada::check_store("no such store");
    const bool refused = attached.has_error() && checked.has_error();
    const bool matches = levada::topic_matches("flood.*", "flood.north");
    const auto partition = levada::partition_for_key("funchal", 1).value();
    const levada::properties_view none = levada::record_view{}.properties();
    std::printf(
        "levada %d.%d.%d polled %zu, replayed %zu, received '%s', category %s%s\n", LEVADA_VERSION_MAJOR,
        LEVADA_VERSION_MINOR, LEVADA_VERSION_PATCH, polled, replayed, received.c_str(),
        levada::error_category().name(),
        refused && taken_over && matches && partition == 0 && none.type.empty() ? ", all as expected" : "");
    return 0;
  } catch (const levada::exception& e) {
    std::fprintf(stderr, "user: %s\n", e.what());
    return 1;
  }
}
