#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <fstream>
#include <mutex>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Remembers the errors that it is told of.
class errors final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::vector<std::string> told;

 private:
  void sink_it_(const spdlog::details::log_msg& m) override {
    if (m.level == spdlog::level::err) told.emplace_back(m.payload.data(), m.payload.size());
  }
  void flush_() override {}
};

class UnreadableJobs : public bus_fixture {
 protected:
  UnreadableJobs() : bus_fixture{seals_everything} {
    ok(the_bus().declare_topic("waits", {.retention = {.records = 1, .wait_for_readers = true}}));
    ok(the_bus().declare_topic("others", {.retention = {.records = 1}}));
    close();
    {
      const auto look = ok(attachment::open(store()));
      ok(ok(look.open_job("report", "others")).checkpoint());
    }
    for (const auto& file : fs::directory_iterator{store() / "jobs"}) {
      if (file.path().extension() == ".job") job_file_ = file.path();
    }
    bus_options o = options();
    o.logger = std::make_shared<spdlog::logger>("test", log_);
    open(o);
  }
  void publish_sealed() {
    for (const char* topic : {"waits", "others"}) ok(the_bus().publish(topic, record{"v"}));
    maintain();
  }
  [[nodiscard]] std::uint64_t begin_of(const std::string& topic) {
    for (const auto& t : ok(the_bus().topics())) {
      if (t.name == topic) return t.partitions.at(0).begin.value();
    }
    return UINT64_MAX;
  }
  [[nodiscard]] const fs::path& job_file() const { return job_file_; }
  void damage() const { std::ofstream{job_file_} << "this is no checkpoint"; }
  [[nodiscard]] const std::vector<std::string>& told() const { return log_->told; }

 private:
  std::shared_ptr<errors> log_ = std::make_shared<errors>();
  fs::path job_file_;
};

TEST_F(UnreadableJobs, KeepWhatWaitsForReadersAndNothingElseAndAreToldOfOnce) {
  damage();
  for (int i = 0; i < 4; ++i) publish_sealed();
  EXPECT_EQ(begin_of("waits"), 0U);
  EXPECT_EQ(begin_of("others"), 3U);
  EXPECT_THAT(told(), ElementsAre(HasSubstr(job_file().filename().string())));
  ok(the_bus().remove_job("report"));
  maintain();
  EXPECT_EQ(begin_of("waits"), 3U);
  publish_sealed();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(UnreadableJobs, AreToldOfAgainWhenItHappensAgain) {
  damage();
  for (int i = 0; i < 2; ++i) publish_sealed();
  ok(the_bus().remove_job("report"));
  publish_sealed();
  damage();
  for (int i = 0; i < 2; ++i) publish_sealed();
  EXPECT_EQ(told().size(), 2U);
}

}  // namespace
}  // namespace levada::test
