#include <levada/error.hpp>

#include <string>

namespace levada {
namespace {

const char* sentence(errc e) noexcept {
  switch (e) {
    case errc::invalid_argument:
      return "an argument lies outside its documented range";
    case errc::name_invalid:
      return "the name is not allowed";
    case errc::unknown_topic:
      return "there is no such topic";
    case errc::unknown_partition:
      return "the topic has no such partition";
    case errc::unknown_exchange:
      return "there is no such exchange";
    case errc::unknown_queue:
      return "there is no such queue";
    case errc::unknown_group:
      return "there is no such consumer group";
    case errc::inequivalent:
      return "the object exists with other properties";
    case errc::record_too_large:
      return "the record is too large";
    case errc::batch_too_large:
      return "the batch is too large";
    case errc::field_too_long:
      return "a field of the record is too long";
    case errc::unknown_table:
      return "there is no such table";
    case errc::store_in_use:
      return "the store is in use";
    case errc::store_not_found:
      return "there is no store";
    case errc::not_a_store:
      return "this is not a levada store";
    case errc::unsupported_format:
      return "the store has a newer format";
    case errc::damaged:
      return "stored data is damaged";
    case errc::permission_denied:
      return "the system denies access";
    case errc::insecure_directory:
      return "the directory is not this user's alone";
    case errc::network_filesystem:
      return "the store lies on a network file system";
    case errc::recovery_needed:
      return "the store's owner must open it first, as the system went down";
    case errc::disk_full:
      return "the disk is full";
    case errc::store_full:
      return "the store has reached its largest size";
    case errc::io_error:
      return "reading or writing failed";
    case errc::out_of_resources:
      return "memory or another resource is exhausted";
    case errc::closed:
      return "the bus or handle is closed";
    case errc::failed:
      return "an earlier commit failed; the store must be opened anew";
    case errc::forked:
      return "the handle belongs to the parent process";
    case errc::outcome_unknown:
      return "the commit failed in flight; its outcome is unknown";
    case errc::operation_aborted:
      return "the operation was aborted before it was begun";
    case errc::would_block:
      return "there is no room now";
    case errc::would_deadlock:
      return "the call would wait for its own thread";
    case errc::duplicate_sequence:
      return "the record is stored already";
    case errc::out_of_order_sequence:
      return "the record does not follow what was sent before";
    case errc::group_in_use:
      return "the group has members";
    case errc::no_committed_offset:
      return "the group has no committed offset";
    case errc::offset_out_of_range:
      return "the offset lies outside the log";
    case errc::not_assigned:
      return "the partition is not assigned to this member";
    case errc::overtaken:
      return "records that were to be read have been removed";
    case errc::log_truncated:
      return "the store was taken back to before what had been read";
    case errc::job_in_use:
      return "the job runs already";
    case errc::unknown_job:
      return "no job has this name";
    case errc::handler_failed:
      return "a handler has thrown, or dropped what it was to answer";
    case errc::fenced:
      return "somebody else has taken over";
    case errc::resource_locked:
      return "the queue belongs to another handle";
    case errc::unknown_delivery:
      return "there is no such unsettled delivery";
    case errc::unroutable:
      return "no queue takes the message";
    case errc::timed_out:
      return "what was waited for did not come in time";
    case errc::access_refused:
      return "this is not for clients";
    case errc::in_use:
      return "it is in use";
    case errc::not_empty:
      return "the queue is not empty";
    case errc::consumer_timed_out:
      return "the consumer has left a delivery unsettled for too long";
    case errc::queue_full:
      return "the queue is full";
    case errc::unknown_policy:
      return "there is no such policy";
    case errc::unknown_ticket:
      return "nothing is known of such a message";
    case errc::message_id_in_use:
      return "there is a ticket for this message id already";
    case errc::conflict:
      return "what the transaction has read has changed";
    case errc::transaction_expired:
      return "the transaction took too long";
  }
  return "unknown levada error";
}

class category final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "levada"; }
  [[nodiscard]] std::string message(int value) const override { return sentence(static_cast<errc>(value)); }
};

}  // namespace

const boost::system::error_category& error_category() noexcept {
  static const category one;
  return one;
}

}  // namespace levada
