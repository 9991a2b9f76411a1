#include <sys/stat.h>

#include <boost/json.hpp>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A store that this process owns while the command looks in.
class WhySpace : public command_fixture {
 protected:
  WhySpace() {
    bus_options o;
    o.journal_bytes_seal = 0;
    o.maintenance = maintenance_mode::on_call;
    bus_.emplace(ok(bus::open(store(), o)));
    ok(bus_->declare_topic("orders", {.retention = {.records = 1, .wait_for_readers = true}}));
    publish("orders", 200);
    ok(bus_->maintain());
    ok(ok(bus_->join("audit", {"orders"})).commit({"orders", partition_id{0}}, offset{17}));
    publish("orders", 1);
    ok(bus_->maintain());
    ok(bus_->declare_topic("notes"));
    publish("notes", 100);
  }
  void publish(const std::string& topic, int records) {
    for (int i = 0; i < records; ++i) ok(bus_->publish(topic, record{std::string(10'000, 'x')}));
  }

 private:
  std::optional<bus> bus_;
};

TEST_F(WhySpace, TellsPeopleWhatTakesTheMost) {
  std::istringstream lines{print({"why-space"})};
  std::string line;
  std::getline(lines, line);
  EXPECT_THAT(line, StartsWith("SPACE"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(" MiB"));
  EXPECT_THAT(line, HasSubstr("group behind"));
  EXPECT_THAT(line, HasSubstr("orders"));
  EXPECT_THAT(line, HasSubstr("audit"));
  EXPECT_THAT(line, HasSubstr("partition 0 offset 17"));
  std::string all;
  while (std::getline(lines, line)) all += line + '\n';
  EXPECT_THAT(all, HasSubstr("not sealed yet"));
  EXPECT_THAT(all, HasSubstr("notes"));
  EXPECT_THAT(all, HasSubstr("bookkeeping"));
  EXPECT_THAT(all, Not(HasSubstr("job")));
  EXPECT_THAT(all, HasSubstr("in all"));
}

TEST_F(WhySpace, TellsProgramsExactly) {
  std::uint64_t sum = 0;
  bool found = false;
  std::istringstream lines{print({"why-space", "--json"})};
  for (std::string line; std::getline(lines, line);) {
    const auto entry = boost::json::parse(line).as_object();
    sum += entry.at("bytes").to_number<std::uint64_t>();
    EXPECT_TRUE(entry.at("reason").is_string());
    if (entry.at("reason") != "lagging_group") continue;
    found = true;
    EXPECT_EQ(entry.at("topic"), "orders");
    EXPECT_EQ(entry.at("holder"), "audit");
    EXPECT_EQ(entry.at("partition"), 0);
    EXPECT_EQ(entry.at("oldest"), 17);
  }
  EXPECT_TRUE(found);
  std::uint64_t on_disk = 0;
  for (const auto& file : fs::recursive_directory_iterator{store()}) {
    struct stat info {};
    if (file.is_regular_file() && ::lstat(file.path().c_str(), &info) == 0)
      on_disk += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  EXPECT_EQ(sum, on_disk);
}

TEST_F(WhySpace, ExplainsEveryReason) {
  const auto help = run(levada_command({"why-space", "--help"}));
  EXPECT_EQ(help.status, 0);
  for (const char* reason :
       {"no_limit", "within_limits", "queue_reference", "delayed_message", "lagging_group", "lagging_job",
        "awaits_rewriting", "awaits_sealing", "awaits_checkpoint", "held_view", "held_snapshot", "free_pages",
        "bookkeeping"}) {
    EXPECT_THAT(help.out, HasSubstr(reason));
  }
}

TEST_F(WhySpace, RefusesWhatIsNoStore) {
  EXPECT_THAT(run(levada_command({"why-space", "--dir", store() + "-not"})),
              fails_saying(1, "there is none"));
  EXPECT_THAT(run(levada_command({"why-space"})), fails_saying(2, "--dir"));
}

}  // namespace
}  // namespace levada::test
