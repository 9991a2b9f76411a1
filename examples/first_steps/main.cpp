#include <chrono>
#include <iostream>

#include <levada/levada.hpp>

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  auto bus = levada::bus::open(argc > 1 ? argv[1] : "first-steps.levada").value();

  // A topic is a durable log. What publish has returned for survives a power failure.
  const auto readings = bus.declare_topic("readings", {.partitions = 2}).value();
  const auto stored = readings.publish(levada::record{"kitchen", "21.5 degrees"}).value();
  std::cout << "published to partition " << stored.partition.value() << ", offset " << stored.offset.value()
            << '\n';

  // A consumer group remembers how far it has read: run the program again, and it reads only what is new.
  auto display = bus.join("display", {"readings"}, {.reset = levada::offset_reset::earliest}).value();
  const auto batch = display.poll(1s).value();
  for (const auto& reading : batch) std::cout << "read " << reading.key() << ": " << reading.value() << '\n';
  display.commit().value();

  // An exchange hands each message to every queue that is bound with a matching pattern.
  bus.declare_exchange("alarms").value();
  bus.declare_queue("caretaker").value();
  bus.bind("alarms", "caretaker", "house.*.smoke").value();
  const auto sent = bus.publish("alarms", "house.3.smoke", levada::record{"smoke on the stairs"}).value();
  std::cout << "handed to " << sent.routed << " queue\n";

  // A message stays in its queue until it is acknowledged, also when the process dies before.
  auto caretaker = bus.consume("caretaker").value();
  if (const auto alarm = caretaker.receive(1s).value()) {
    std::cout << "received " << alarm->record().routing_key() << ": " << alarm->record().value() << '\n';
    caretaker.ack(*alarm).value();
  }
  bus.close().value();
} catch (const levada::exception& e) {
  std::cerr << "first_steps: " << e.what() << '\n';
  return 1;
}
