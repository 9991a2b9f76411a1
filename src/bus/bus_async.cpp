// The asynchronous twins of a bus's own calls.

#include <utility>

#include "bus/bus_impl.hpp"
#include "bus/calls.hpp"
#include "bus/submitted_message.hpp"

namespace levada {
void bus::start_publish(const std::shared_ptr<impl>& self, std::string_view exchange,
                        std::string_view routing_key, const record& r, const publish_options& options,
                        detail::completion<publish_receipt> done) {
  pending<publish_receipt> answer{std::move(done), *self->owner};
  submit_message(*self->owner, exchange, routing_key, r, options,
                 [answer = std::move(answer)](result<publish_receipt> outcome) mutable {
                   answer.answer(std::move(outcome));
                 });
}

void bus::start_publish(const std::shared_ptr<impl>& self, const std::vector<message>& messages,
                        const publish_options& options,
                        detail::completion<std::vector<publish_receipt>> done) {
  pending<std::vector<publish_receipt>> answer{std::move(done), *self->owner};
  submit_messages(*self->owner, messages, options,
                  [answer = std::move(answer)](result<std::vector<publish_receipt>> outcome) mutable {
                    answer.answer(std::move(outcome));
                  });
}

void bus::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  const auto answer = std::make_shared<pending<void>>(std::move(done), *self->owner);
  self->owner->start_close([answer](result<void> closed) { answer->answer(std::move(closed)); });
}

template <class T>
void bus::start_call(const std::shared_ptr<impl>& self, std::function<result<T>(bus&)> call,
                     detail::completion<T> done) {
  make_call<T>(
      self->owner,
      [self, call = std::move(call)] {
        bus handle{self};
        auto outcome = call(handle);
        handle.impl_.reset();  // the host's handle closes the bus, not this one
        return outcome;
      },
      std::move(done));
}

template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<std::uint64_t>(bus&)>,
                              detail::completion<std::uint64_t>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<bool>(bus&)>,
                              detail::completion<bool>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<message_trace>(bus&)>,
                              detail::completion<message_trace>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<ticket>(bus&)>,
                              detail::completion<ticket>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<explanation>(bus&)>,
                              detail::completion<explanation>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<delayed_message>>(bus&)>,
                              detail::completion<std::vector<delayed_message>>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<record_batch>(bus&)>,
                              detail::completion<record_batch>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<exchange_info>(bus&)>,
                              detail::completion<exchange_info>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<queue_info>(bus&)>,
                              detail::completion<queue_info>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<void>(bus&)>,
                              detail::completion<void>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<levada::topic>(bus&)>,
                              detail::completion<levada::topic>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<consumer>(bus&)>,
                              detail::completion<consumer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<producer>(bus&)>,
                              detail::completion<producer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<requester>(bus&)>,
                              detail::completion<requester>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<push_consumer>(bus&)>,
                              detail::completion<push_consumer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<subscription>(bus&)>,
                              detail::completion<subscription>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<offset_change>>(bus&)>,
                              detail::completion<std::vector<offset_change>>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<transaction_receipt>(bus&)>,
                              detail::completion<transaction_receipt>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<queue_consumer>(bus&)>,
                              detail::completion<queue_consumer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<share_consumer>(bus&)>,
                              detail::completion<share_consumer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<exclusive_queue>(bus&)>,
                              detail::completion<exclusive_queue>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<levada::table>(bus&)>,
                              detail::completion<levada::table>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<backup_report>(bus&)>,
                              detail::completion<backup_report>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<levada::replay>(bus&)>,
                              detail::completion<levada::replay>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<topic_info>>(bus&)>,
                              detail::completion<std::vector<topic_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<group_info>>(bus&)>,
                              detail::completion<std::vector<group_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<policy_info>>(bus&)>,
                              detail::completion<std::vector<policy_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<operator_policy_info>>(bus&)>,
                              detail::completion<std::vector<operator_policy_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<exchange_info>>(bus&)>,
                              detail::completion<std::vector<exchange_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<queue_info>>(bus&)>,
                              detail::completion<std::vector<queue_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<binding_info>>(bus&)>,
                              detail::completion<std::vector<binding_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<job_info>>(bus&)>,
                              detail::completion<std::vector<job_info>>);
template void bus::start_call(const std::shared_ptr<impl>&,
                              std::function<result<std::vector<reader_info>>(bus&)>,
                              detail::completion<std::vector<reader_info>>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<space_report>(bus&)>,
                              detail::completion<space_report>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<bus_stats>(bus&)>,
                              detail::completion<bus_stats>);

}  // namespace levada
