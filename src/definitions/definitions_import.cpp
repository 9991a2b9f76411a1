#include <algorithm>

#include "definitions/parse.hpp"
#include "definitions/plan.hpp"
#include "definitions/reader.hpp"
#include "definitions/surroundings.hpp"

#include <levada/definitions.hpp>

namespace levada {

result<definitions_report> import_definitions(bus& into, std::string_view json,
                                              const definitions_import_options& options) {
  const auto parsed = definitions::parse(json);
  if (!parsed) return parsed.error();
  const auto around = definitions::surroundings_of(into);
  if (!around) return around.error();
  definitions::reader reader{*around, options};
  if (auto done = reader.read(*parsed); !done) return done.error();
  const definitions::plan& plan = reader.to_do();
  definitions_report report;
  report.exchanges = plan.exchanges.size();
  report.queues = plan.queues.size();
  report.bindings = plan.bindings.size();
  report.policies = plan.policies.size() + plan.operator_policies.size();
  report.findings = reader.findings();
  const bool complete = std::none_of(
      report.findings.begin(), report.findings.end(),
      [](const definitions_finding& f) { return f.weight == definitions_finding::importance::unknown; });
  if (options.dry_run || (!complete && !options.skip_unknown)) return report;
  if (auto done = definitions::carry_out(into, plan); !done) return done.error();
  report.applied = true;
  return report;
}

}  // namespace levada
