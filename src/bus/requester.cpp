#include <levada/requester.hpp>

#include <fmt/format.h>

#include <charconv>
#include <system_error>
#include <utility>

#include <boost/asio/bind_executor.hpp>

#include <levada/async.hpp>

#include "bus/bus_impl.hpp"
#include "bus/calls.hpp"
#include "bus/pending.hpp"
#include "bus/requester_impl.hpp"
#include "bus/submitted_message.hpp"

namespace levada {
namespace {

/// Replies that are settled in one commit: nobody waits for it, and what is left goes with the queue.
constexpr std::uint64_t replies_in_settlement = 256;

exchange_options options_of_replies() {
  exchange_options options;
  options.type = exchange_type::direct;
  options.retention = {.age = std::chrono::hours{1}, .bytes = std::uint64_t{16} << 20};
  return options;
}

bool first_is_enough(std::span<const delivery>) noexcept {
  return true;
}

result<delivery> first_of(const std::string& exchange, result<gathered_replies> gathered) {
  if (!gathered) return gathered.error();
  if (gathered->replies.empty())
    return error{errc::timed_out, fmt::format("request by exchange '{}': no reply in time", exchange)};
  return std::move(gathered->replies.front());
}

}  // namespace

result<void> requester::impl::start() {
  try {
    static_cast<void>(thread_.executor());
  } catch (const std::system_error& e) {
    return error{errc::out_of_resources, fmt::format("make requester: no thread: {}", e.what())};
  }
  listen();
  return {};
}

void requester::impl::listen() {
  const auto next = [self = shared_from_this()](const result<std::optional<delivery>>& reply) {
    if (!reply) return self->end_all(reply.error());
    if (*reply) self->took(**reply);
    self->listen();
  };
  replies_.async_receive(std::chrono::milliseconds::max(),
                         boost::asio::bind_executor(thread_.executor(), next));
}

void requester::impl::took(const delivery& reply) {
  if (++unsettled_ >= replies_in_settlement) settle(reply.tag());
  const std::string_view id = reply.record().properties().correlation_id;
  std::uint64_t number = 0;
  const auto read = std::from_chars(id.data(), id.data() + id.size(), number);
  std::shared_ptr<conversation> of;
  if (read.ec == std::errc{} && read.ptr == id.data() + id.size()) {
    const std::lock_guard guard{mutex_};
    const auto found = waiting_.find(number);
    if (found != waiting_.end()) of = found->second;
  }
  if (!of) {
    ++late_;
    return;
  }
  {
    const std::lock_guard guard{of->mutex};
    of->so_far.replies.push_back(reply);
    of->so_far.complete = of->enough(of->so_far.replies);
    if (!of->so_far.complete) return;
  }
  end(number, nullptr);
}

void requester::impl::settle(delivery_tag last) {
  unsettled_ = 0;
  // What fails here is delivered to nobody any more, and goes with the queue.
  replies_.async_ack_up_to(last, boost::asio::bind_executor(thread_.executor(), [](const result<void>&) {}));
}

std::shared_ptr<requester::impl::conversation> requester::impl::take(std::uint64_t number) {
  const std::lock_guard guard{mutex_};
  auto node = waiting_.extract(number);
  return node ? std::move(node.mapped()) : nullptr;
}

void requester::impl::end(std::uint64_t number, const error* why) {
  const auto ended = take(number);
  if (!ended) return;
  courier::bell bell;
  bool rings = false;
  gathered_replies all;
  {
    const std::lock_guard guard{ended->mutex};
    all = std::move(ended->so_far);
    bell = ended->bell;
    rings = ended->rings;
  }
  if (rings) owner_->errands().silence(bell);
  ended->done(why != nullptr ? result<gathered_replies>{*why} : std::move(all));
}

void requester::impl::end_all(const error& why) {
  std::vector<std::uint64_t> numbers;
  {
    const std::lock_guard guard{mutex_};
    if (!ended_) ended_ = why;
    for (const auto& [number, waiting] : waiting_) numbers.push_back(number);
  }
  for (const std::uint64_t number : numbers) end(number, &why);
}

void requester::impl::begin(message request, reply_condition enough, std::chrono::milliseconds timeout,
                            outcome_function done) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  const auto begun = std::make_shared<conversation>();
  begun->enough = std::move(enough);
  begun->done = std::move(done);
  if (!begun->enough) {
    return begun->done(
        error{errc::invalid_argument,
              fmt::format("gather replies by exchange '{}': there is no condition", request.exchange)});
  }
  std::uint64_t number = 0;
  std::optional<error> ended;
  {
    const std::lock_guard guard{mutex_};
    ended = ended_;
    number = ++last_number_;
    if (!ended) waiting_.emplace(number, begun);
  }
  if (ended) return begun->done(*ended);
  if (deadline != clock::steady_time::max()) {
    const auto bell =
        owner_->errands().ring(deadline, [self = shared_from_this(), number] { self->end(number, nullptr); });
    const std::lock_guard guard{begun->mutex};
    begun->bell = bell;
    begun->rings = true;
  }
  request.content.correlation_id(fmt::format("{}", number)).reply_to(queue_.name());
  submit_message(*owner_, request.exchange, request.routing_key, request.content, {},
                 [self = shared_from_this(), number,
                  exchange = request.exchange](const result<publish_receipt>& published) {
                   if (published && published->routed > 0) return;
                   const error why =
                       published ? error{errc::unroutable,
                                         fmt::format("request by exchange '{}': no queue takes it", exchange)}
                                 : published.error();
                   self->end(number, &why);
                 });
}

result<gathered_replies> requester::impl::run(message request, reply_condition enough,
                                              std::chrono::milliseconds timeout) {
  if (auto allowed = owner_->check_open("request"); !allowed) return allowed.error();
  if (thread_.inside())
    return error{errc::would_deadlock, "request: called by a condition, for which it would wait"};
  struct answer {
    std::atomic<bool> there{false};
    result<gathered_replies> outcome = gathered_replies{};
  };
  const auto a = std::make_shared<answer>();
  begin(std::move(request), std::move(enough), timeout, [a](result<gathered_replies> outcome) {
    a->outcome = std::move(outcome);
    a->there = true;
    a->there.notify_all();
  });
  a->there.wait(false);
  return std::move(a->outcome);
}

void requester::impl::close() noexcept {
  replies_.close();
  end_all({errc::closed, "request: the requester is closed"});
  static_cast<void>(queue_.close());  // what fails here is made up for when the store is opened next
  thread_.finish();                   // what is settled meanwhile is answered in it
}

requester::requester(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
requester::requester(requester&&) noexcept = default;
requester& requester::operator=(requester&& other) noexcept {
  const requester before = std::move(*this);
  impl_ = std::move(other.impl_);
  return *this;
}
requester::~requester() {
  if (impl_) impl_->close();
}

result<delivery> requester::request(std::string exchange, std::string routing_key, record r,
                                    std::chrono::milliseconds timeout) {
  const std::string by = exchange;
  return first_of(
      by, impl_->run({std::move(exchange), std::move(routing_key), std::move(r)}, first_is_enough, timeout));
}

result<gathered_replies> requester::gather(std::string exchange, std::string routing_key, record r,
                                           reply_condition enough, std::chrono::milliseconds timeout) {
  return impl_->run({std::move(exchange), std::move(routing_key), std::move(r)}, std::move(enough), timeout);
}

void requester::start_request(const std::shared_ptr<impl>& self, message request,
                              std::chrono::milliseconds timeout, detail::completion<delivery> done) {
  const auto answer = std::make_shared<pending<delivery>>(std::move(done), *self->owner());
  const std::string by = request.exchange;
  self->begin(std::move(request), first_is_enough, timeout, [answer, by](result<gathered_replies> outcome) {
    answer->answer(first_of(by, std::move(outcome)));
  });
}

void requester::start_gather(const std::shared_ptr<impl>& self, message request, reply_condition enough,
                             std::chrono::milliseconds timeout, detail::completion<gathered_replies> done) {
  const auto answer = std::make_shared<pending<gathered_replies>>(std::move(done), *self->owner());
  self->begin(std::move(request), std::move(enough), timeout,
              [answer](result<gathered_replies> outcome) { answer->answer(std::move(outcome)); });
}

const std::string& requester::queue() const noexcept {
  return impl_->queue().name();
}
std::uint64_t requester::late_replies() const noexcept {
  return impl_->late();
}
void requester::close() noexcept {
  impl_->close();
}
void requester::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  make_call<void>(
      self->owner(),
      [self]() -> result<void> {
        self->close();
        return {};
      },
      std::move(done));
}

result<requester> bus::make_requester() {
  if (auto declared = impl_->declare_exchange(reply_exchange, options_of_replies()); !declared)
    return declared.error();
  auto queue = declare_anonymous_queue();
  if (!queue) return queue.error();
  if (auto bound = bind(reply_exchange, queue->name(), queue->name()); !bound) return bound.error();
  auto replies = queue->consume({.prefetch = 0});
  if (!replies) return replies.error();
  auto self = std::make_shared<requester::impl>(impl_->owner, std::move(*queue), std::move(*replies));
  if (auto started = self->start(); !started) {
    self->close();
    return started.error();
  }
  return requester{std::move(self)};
}

namespace {

error asks_for_nothing() {
  return {errc::invalid_argument, "reply: the record has no reply_to, so it is no request"};
}

}  // namespace

result<publish_receipt> bus::reply(const record_view& request, record r) {
  const properties_view asked = request.properties();
  if (asked.reply_to.empty()) return asks_for_nothing();
  return publish(reply_exchange, asked.reply_to, r.correlation_id(std::string{asked.correlation_id}));
}

void bus::start_reply(const std::shared_ptr<impl>& self, std::string_view queue, const record& r,
                      detail::completion<publish_receipt> done) {
  if (queue.empty()) {
    pending<publish_receipt> answer{std::move(done), *self->owner};
    return answer.answer(asks_for_nothing());
  }
  start_publish(self, reply_exchange, queue, r, {}, std::move(done));
}

}  // namespace levada
