#include <levada/error.hpp>

#include <set>
#include <string>
#include <utility>

#include <support/result_testing.hpp>

namespace levada::test {
namespace {

// Programs store and compare these numbers: they never change.
constexpr std::pair<errc, int> published[] = {
    {errc::invalid_argument, 1},
    {errc::name_invalid, 2},
    {errc::unknown_topic, 3},
    {errc::unknown_partition, 4},
    {errc::unknown_exchange, 5},
    {errc::unknown_queue, 6},
    {errc::unknown_group, 7},
    {errc::inequivalent, 8},
    {errc::record_too_large, 9},
    {errc::batch_too_large, 10},
    {errc::field_too_long, 11},
    {errc::unknown_table, 12},
    {errc::store_in_use, 20},
    {errc::store_not_found, 21},
    {errc::not_a_store, 22},
    {errc::unsupported_format, 23},
    {errc::damaged, 24},
    {errc::permission_denied, 25},
    {errc::insecure_directory, 26},
    {errc::network_filesystem, 27},
    {errc::recovery_needed, 28},
    {errc::disk_full, 30},
    {errc::store_full, 31},
    {errc::io_error, 32},
    {errc::out_of_resources, 33},
    {errc::closed, 40},
    {errc::failed, 41},
    {errc::forked, 42},
    {errc::outcome_unknown, 43},
    {errc::operation_aborted, 44},
    {errc::would_block, 45},
    {errc::would_deadlock, 46},
    {errc::duplicate_sequence, 47},
    {errc::out_of_order_sequence, 48},
    {errc::group_in_use, 49},
    {errc::no_committed_offset, 50},
    {errc::offset_out_of_range, 51},
    {errc::not_assigned, 52},
    {errc::fenced, 53},
    {errc::overtaken, 54},
    {errc::log_truncated, 55},
    {errc::job_in_use, 56},
    {errc::unknown_job, 57},
    {errc::handler_failed, 58},
    {errc::resource_locked, 60},
    {errc::unknown_delivery, 61},
    {errc::unroutable, 62},
    {errc::timed_out, 63},
    {errc::access_refused, 64},
    {errc::in_use, 65},
    {errc::not_empty, 66},
    {errc::queue_full, 67},
    {errc::consumer_timed_out, 68},
    {errc::unknown_policy, 69},
    {errc::conflict, 70},
    {errc::transaction_expired, 71},
    {errc::unknown_ticket, 72},
    {errc::message_id_in_use, 73},
};

TEST(Error, KeepsItsPublishedNumbers) {
  for (const auto& entry : published) EXPECT_EQ(static_cast<int>(entry.first), entry.second);
}

TEST(Error, HasASentenceOfItsOwnForEveryCode) {
  std::set<std::string> sentences;
  for (const auto& entry : published) {
    const auto code = make_error_code(entry.first);
    EXPECT_STREQ(code.category().name(), "levada");
    EXPECT_EQ(code.value(), entry.second);
    EXPECT_TRUE(sentences.insert(code.message()).second) << code.message();
  }
  EXPECT_FALSE(sentences.contains(error_category().message(999)));
}

TEST(Error, IsThrownByTheValueOfAFailedResult) {
  const result<int> failed = error{errc::fenced, "poll as member 'a'"};
  try {
    static_cast<void>(failed.value());
    FAIL() << "nothing was thrown";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason(), errc::fenced);
    EXPECT_STREQ(e.what(), "poll as member 'a'");
    EXPECT_EQ(e.reason().error_code(), errc::fenced);
  }
}

}  // namespace
}  // namespace levada::test
