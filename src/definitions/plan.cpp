#include "definitions/plan.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace levada::definitions {

result<void> carry_out(bus& into, const plan& what) {
  const std::size_t all = what.policies.size() + what.operator_policies.size() + what.exchanges.size() +
                          what.queues.size() + what.bindings.size();
  std::size_t done = 0;
  const auto failed = [&](const error& e) {
    return error{e.code(),
                 fmt::format("{}: {}; {} of {} had been done", import_operation, e.message(), done, all)};
  };
  for (const auto& p : what.policies) {
    if (auto r = into.set_policy(p.name, p.options); !r) return failed(r.error());
    ++done;
  }
  for (const auto& p : what.operator_policies) {
    if (auto r = into.set_operator_policy(p.name, p.options); !r) return failed(r.error());
    ++done;
  }
  for (const auto& e : what.exchanges) {
    if (auto r = into.declare_exchange(e.name, e.options); !r) return failed(r.error());
    ++done;
  }
  for (const auto& q : what.queues) {
    if (auto r = into.declare_queue(q.name, q.options); !r) return failed(r.error());
    ++done;
  }
  for (const auto& b : what.bindings) {
    auto r = b.to_exchange ? into.bind_exchange(b.exchange, b.destination, b.key, b.arguments)
                           : into.bind(b.exchange, b.destination, b.key, b.arguments);
    if (!r) return failed(r.error());
    ++done;
  }
  return {};
}

}  // namespace levada::definitions
