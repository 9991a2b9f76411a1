#include "support/stores.hpp"

#include <fmt/format.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace levada::bench {
namespace {

std::filesystem::path made(std::filesystem::path directory) {
  std::filesystem::create_directory(directory);
  return directory;
}

}  // namespace

bus_options unsealed(const decltype(bus_options::durability)& durability) {
  bus_options o;
  o.durability = durability;
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = o.journal_bytes_max = std::numeric_limits<std::size_t>::max();
  return o;
}

std::string_view value_of(std::size_t i) noexcept {
  static const std::vector<std::string> values = [] {
    std::vector<std::string> made_values(1024);
    for (std::size_t n = 0; n < made_values.size(); ++n) made_values[n] = fmt::format("{:0100}", n);
    return made_values;
  }();
  return values[i % values.size()];
}

stores::stores(const std::filesystem::path& directory, std::uint32_t partitions,
               decltype(bus_options::durability) durability)
    : directory_{directory},
      durability_{durability},
      bus_{bus::open(directory / "levada", unsealed(durability_)).value()},
      topic_{bus_->declare_topic("measured", {.partitions = partitions}).value()},
      raw_{std::in_place, made(directory / "raw"),
           std::holds_alternative<checkpointed>(durability_) ? flushing::none : flushing::each_commit} {}

void stores::fill(std::size_t records) {
  publish_batch batch = topic_->make_batch();
  for (std::size_t done = 0; done < records; done += records_per_group) {
    add_records(batch, records_per_group);
    (void)topic_->publish(batch).value();
    raw_->append(records_per_group / records_per_row, full_row_bytes);
  }
}

void stores::seal() {
  topic_.reset();
  bus_->close().value();
  bus_options o = unsealed(durability_);
  o.journal_bytes_seal = 0;
  bus_.emplace(bus::open(directory_ / "levada", o).value());
  bus_->maintain().value();
}

double stores::close_and_compare() {
  topic_.reset();
  bus_->close().value();
  bus_.reset();
  raw_.reset();
  const journal_content levada = count_journal(directory_ / "levada" / "main");
  const journal_content raw = count_journal(directory_ / "raw");
  if (levada.rows != raw.rows || levada.bytes != raw.bytes) {
    throw std::runtime_error{fmt::format("no equal work: levada holds {} rows of {} bytes, raw LMDB {} of {}",
                                         levada.rows, levada.bytes, raw.rows, raw.bytes)};
  }
  return static_cast<double>(levada.transactions) / static_cast<double>(raw.transactions);
}

void add_records(publish_batch& batch, std::size_t records) {
  for (std::size_t i = 0; i < records; ++i) (void)batch.add(value_of(i)).value();
}

}  // namespace levada::bench
