// One record, published and durable on return, beside raw LMDB committing the same row.

#include <string>

#include <levada/record.hpp>

#include "questions.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

class lone_publish : public pair {
 public:
  explicit lone_publish(const std::filesystem::path& directory) : stores_{directory, 1} {}

  void levada_half() override { (void)stores_.topic().publish(record_).value(); }
  void raw_half() override { stores_.raw().append(1, lone_row_bytes); }
  std::optional<double> finish() override {
    stores_.close_and_compare();
    return std::nullopt;
  }

 private:
  stores stores_;
  record record_{std::string{value_of(0)}};
};

}  // namespace

void ask_durable_publish(suite& s) {
  s.ask({.name = "durable_publish/one",
         .text = "one durable publish",
         .records = 1,
         .halves = s.size(300, 2),
         .of_times = true,
         .ratio_target = 1.1,
         .make = [](const auto& directory) { return std::make_unique<lone_publish>(directory); }});
}

}  // namespace levada::bench
