#include <rabbitmq/rabbit_client.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <sys/time.h>

#if __has_include(<rabbitmq-c/amqp.h>)  // from 0.12 on
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif

#include <fmt/format.h>

namespace levada::rabbit {

namespace {

constexpr timeval patience{60, 0};

amqp_bytes_t bytes_of(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}

std::string text_of(amqp_bytes_t bytes) {
  return {static_cast<const char*>(bytes.bytes), bytes.len};
}

[[noreturn]] void broken(std::string_view what) {
  throw std::runtime_error{fmt::format("AMQP: {}", what)};
}

struct value_encoder {
  amqp_field_value_t operator()(std::monostate) const { return of(AMQP_FIELD_KIND_VOID); }
  amqp_field_value_t operator()(bool value) const {
    amqp_field_value_t encoded = of(AMQP_FIELD_KIND_BOOLEAN);
    encoded.value.boolean = value ? 1 : 0;
    return encoded;
  }
  amqp_field_value_t operator()(std::int64_t value) const {
    amqp_field_value_t encoded = of(AMQP_FIELD_KIND_I64);
    encoded.value.i64 = value;
    return encoded;
  }
  amqp_field_value_t operator()(double value) const {
    amqp_field_value_t encoded = of(AMQP_FIELD_KIND_F64);
    encoded.value.f64 = value;
    return encoded;
  }
  amqp_field_value_t operator()(const std::string& value) const {
    amqp_field_value_t encoded = of(AMQP_FIELD_KIND_UTF8);
    encoded.value.bytes = bytes_of(value);
    return encoded;
  }

 private:
  static amqp_field_value_t of(int kind) {
    amqp_field_value_t encoded{};
    encoded.kind = static_cast<std::uint8_t>(kind);
    return encoded;
  }
};

/// Borrows the table it was made of.
class encoded_table {
 public:
  explicit encoded_table(const field_table& table) {
    for (const auto& [name, value] : table) {
      entries_.push_back({bytes_of(name), std::visit(value_encoder{}, value)});
    }
  }
  [[nodiscard]] amqp_table_t get() { return {static_cast<int>(entries_.size()), entries_.data()}; }

 private:
  std::vector<amqp_table_entry_t> entries_;
};

std::int64_t integer_of(const amqp_field_value_t& v) {
  switch (v.kind) {
    case AMQP_FIELD_KIND_I8:
      return v.value.i8;
    case AMQP_FIELD_KIND_U8:
      return v.value.u8;
    case AMQP_FIELD_KIND_I16:
      return v.value.i16;
    case AMQP_FIELD_KIND_U16:
      return v.value.u16;
    case AMQP_FIELD_KIND_I32:
      return v.value.i32;
    case AMQP_FIELD_KIND_U32:
      return v.value.u32;
    case AMQP_FIELD_KIND_I64:
      return v.value.i64;
    default:
      broken(fmt::format("a field of type '{}'", static_cast<char>(v.kind)));
  }
}

field_value decoded(const amqp_field_value_t& v) {
  switch (v.kind) {
    case AMQP_FIELD_KIND_VOID:
      return {};
    case AMQP_FIELD_KIND_BOOLEAN:
      return v.value.boolean != 0;
    case AMQP_FIELD_KIND_F32:
      return static_cast<double>(v.value.f32);
    case AMQP_FIELD_KIND_F64:
      return v.value.f64;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
      return text_of(v.value.bytes);
    default:
      return integer_of(v);
  }
}

death decode_death(const amqp_field_value_t& v) {
  if (v.kind != AMQP_FIELD_KIND_TABLE) broken("an entry of x-death is no table");
  death d;
  for (int i = 0; i < v.value.table.num_entries; ++i) {
    const amqp_table_entry_t& entry = v.value.table.entries[i];
    const std::string name = text_of(entry.key);
    const amqp_field_value_t& value = entry.value;
    if (name == "queue") {
      d.queue = text_of(value.value.bytes);
    } else if (name == "reason") {
      d.reason = text_of(value.value.bytes);
    } else if (name == "exchange") {
      d.exchange = text_of(value.value.bytes);
    } else if (name == "count") {
      d.count = integer_of(value);
    } else if (name == "original-expiration") {
      d.original_expiration = text_of(value.value.bytes);
    } else if (name == "routing-keys") {
      for (int k = 0; k < value.value.array.num_entries; ++k) {
        d.routing_keys.push_back(text_of(value.value.array.entries[k].value.bytes));
      }
    } else if (name != "time") {
      broken("x-death has an unknown field " + name);
    }
  }
  return d;
}

void decode_headers(const amqp_table_t& table, message& m) {
  for (int i = 0; i < table.num_entries; ++i) {
    const amqp_table_entry_t& entry = table.entries[i];
    const std::string name = text_of(entry.key);
    const auto first = [&]() -> first_death& { return m.first ? *m.first : m.first.emplace(); };
    if (name == "x-death") {
      if (entry.value.kind != AMQP_FIELD_KIND_ARRAY) broken("x-death is no array");
      for (int k = 0; k < entry.value.value.array.num_entries; ++k) {
        m.deaths.push_back(decode_death(entry.value.value.array.entries[k]));
      }
    } else if (name == "x-first-death-queue") {
      first().queue = text_of(entry.value.value.bytes);
    } else if (name == "x-first-death-reason") {
      first().reason = text_of(entry.value.value.bytes);
    } else if (name == "x-first-death-exchange") {
      first().exchange = text_of(entry.value.value.bytes);
    } else {
      m.headers.emplace_back(name, decoded(entry.value));
    }
  }
  std::sort(m.headers.begin(), m.headers.end(),
            [](const auto& l, const auto& r) { return l.first < r.first; });
}

message decode(const amqp_message_t& received, std::string exchange, std::string key) {
  message m;
  m.exchange = std::move(exchange);
  m.key = std::move(key);
  m.body = text_of(received.body);
  const amqp_basic_properties_t& p = received.properties;
  if ((p._flags & AMQP_BASIC_HEADERS_FLAG) != 0) decode_headers(p.headers, m);
  if ((p._flags & AMQP_BASIC_PRIORITY_FLAG) != 0) m.priority = p.priority;
  if ((p._flags & AMQP_BASIC_EXPIRATION_FLAG) != 0) m.expiration = text_of(p.expiration);
  return m;
}

}  // namespace

class rabbit_client::impl {
 public:
  impl(std::uint16_t port, const std::string& virtual_host) : connection_{amqp_new_connection()} {
    amqp_socket_t* socket = amqp_tcp_socket_new(connection_);
    if (socket == nullptr ||
        amqp_socket_open_noblock(socket, "127.0.0.1", port, &patience) != AMQP_STATUS_OK) {
      amqp_destroy_connection(connection_);
      broken(fmt::format("nobody listens on port {}", port));
    }
    amqp_set_handshake_timeout(connection_, &patience);
    amqp_set_rpc_timeout(connection_, &patience);
    const amqp_rpc_reply_t r = amqp_login(connection_, virtual_host.c_str(), 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                          AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (r.reply_type != AMQP_RESPONSE_NORMAL) {
      amqp_destroy_connection(connection_);
      broken("no login to virtual host " + virtual_host);
    }
  }
  ~impl() {
    amqp_connection_close(connection_, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(connection_);
  }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  [[nodiscard]] amqp_connection_state_t on(channel number) {
    amqp_maybe_release_buffers(connection_);
    if (open_.insert(number).second) open(number);
    return connection_;
  }

  /// What the last call on the channel came to.
  [[nodiscard]] reply end(channel number) { return end(number, amqp_get_rpc_reply(connection_)); }
  [[nodiscard]] reply end(channel number, const amqp_rpc_reply_t& r) {
    switch (r.reply_type) {
      case AMQP_RESPONSE_NORMAL:
        return {};
      case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (r.reply.id == AMQP_CHANNEL_CLOSE_METHOD) return reopen(number, r.reply.decoded);
        broken("the server closed the connection: " +
               text_of(static_cast<amqp_connection_close_t*>(r.reply.decoded)->reply_text));
      case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        broken(amqp_error_string2(r.library_error));
      case AMQP_RESPONSE_NONE:
        break;
    }
    broken("no reply");
  }

  /// Makes what was sent without an answer on a channel known to have been handled.
  [[nodiscard]] reply synchronize(channel number) {
    amqp_basic_qos(connection_, number, 0, 0, 0);
    return end(number);
  }

  publish_reply publish(channel number, const std::string& exchange, const std::string& key,
                        const outgoing& what, bool mandatory) {
    const amqp_connection_state_t c = on(number);
    if (confirming_.insert(number).second) {
      amqp_confirm_select(c, number);
      if (const reply r = end(number); r.code != 0) broken("confirm.select: " + r.text);
    }
    encoded_table headers{what.headers};
    amqp_basic_properties_t p{};
    p._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    p.delivery_mode = what.persistent ? 2 : 1;
    if (!what.headers.empty()) {
      p._flags |= AMQP_BASIC_HEADERS_FLAG;
      p.headers = headers.get();
    }
    if (what.priority) {
      p._flags |= AMQP_BASIC_PRIORITY_FLAG;
      p.priority = *what.priority;
    }
    if (what.expiration) {
      p._flags |= AMQP_BASIC_EXPIRATION_FLAG;
      p.expiration = bytes_of(*what.expiration);
    }
    if (const int status = amqp_basic_publish(c, number, bytes_of(exchange), bytes_of(key), mandatory ? 1 : 0,
                                              0, &p, bytes_of(what.body));
        status != AMQP_STATUS_OK) {
      broken(amqp_error_string2(status));
    }
    return wait_for_confirm(number);
  }

  get_reply get(channel number, const std::string& queue, bool auto_ack) {
    get_reply all;
    const amqp_connection_state_t c = on(number);
    const amqp_rpc_reply_t r = amqp_basic_get(c, number, bytes_of(queue), auto_ack ? 1 : 0);
    all.result = end(number, r);
    if (all.result.code != 0 || r.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) return all;
    const auto* ok = static_cast<amqp_basic_get_ok_t*>(r.reply.decoded);
    all.tag = ok->delivery_tag;
    delivered d;
    d.queue = queue;
    d.redelivered = ok->redelivered != 0;
    d.remaining = ok->message_count;
    d.message = read_content(number, text_of(ok->exchange), text_of(ok->routing_key));
    all.delivered = std::move(d);
    return all;
  }

 private:
  void open(channel number) {
    amqp_channel_open(connection_, number);
    if (const reply r = end(number); r.code != 0) broken("channel.open: " + r.text);
  }

  reply reopen(channel number, const void* decoded) {
    const auto* close = static_cast<const amqp_channel_close_t*>(decoded);
    reply r{close->reply_code, text_of(close->reply_text), 0};
    amqp_channel_close_ok_t ok{};
    amqp_send_method(connection_, number, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    confirming_.erase(number);
    open(number);
    return r;
  }

  message read_content(channel number, std::string exchange, std::string key) {
    amqp_message_t content;
    const amqp_rpc_reply_t r = amqp_read_message(connection_, number, &content, 0);
    if (r.reply_type != AMQP_RESPONSE_NORMAL) broken("a message without its content");
    message m = decode(content, std::move(exchange), std::move(key));
    amqp_destroy_message(&content);
    return m;
  }

  publish_reply wait_for_confirm(channel number) {
    publish_reply all;
    for (;;) {
      amqp_frame_t frame;
      timeval left = patience;
      if (const int status = amqp_simple_wait_frame_noblock(connection_, &frame, &left);
          status != AMQP_STATUS_OK) {
        broken(amqp_error_string2(status));
      }
      if (frame.frame_type != AMQP_FRAME_METHOD || frame.channel != number) broken("an unexpected frame");
      const amqp_method_t& method = frame.payload.method;
      switch (method.id) {
        case AMQP_BASIC_ACK_METHOD:
          all.confirm = verdict::confirmed;
          return all;
        case AMQP_BASIC_NACK_METHOD:
          all.confirm = verdict::nacked;
          return all;
        case AMQP_BASIC_RETURN_METHOD: {
          const auto* back = static_cast<amqp_basic_return_t*>(method.decoded);
          returned r;
          r.code = back->reply_code;
          r.exchange = text_of(back->exchange);
          r.key = text_of(back->routing_key);
          r.body = read_content(number, r.exchange, r.key).body;
          all.returned.push_back(std::move(r));
          break;
        }
        case AMQP_CHANNEL_CLOSE_METHOD:
          all.result = reopen(number, method.decoded);
          return all;
        default:
          broken(fmt::format("an unexpected {}", amqp_method_name(method.id)));
      }
    }
  }

  amqp_connection_state_t connection_;
  std::set<channel> open_;
  std::set<channel> confirming_;
};

rabbit_client::rabbit_client(std::uint16_t port, const std::string& virtual_host)
    : impl_{std::make_unique<impl>(port, virtual_host)} {}

rabbit_client::~rabbit_client() = default;

reply rabbit_client::declare_exchange(channel on, const std::string& name, const std::string& type,
                                      exchange_properties properties, const field_table& arguments) {
  encoded_table table{arguments};
  amqp_exchange_declare(impl_->on(on), on, bytes_of(name), bytes_of(type), properties.passive ? 1 : 0,
                        properties.durable ? 1 : 0, properties.auto_delete ? 1 : 0,
                        properties.internal ? 1 : 0, table.get());
  return impl_->end(on);
}

reply rabbit_client::delete_exchange(channel on, const std::string& name, bool if_unused) {
  amqp_exchange_delete(impl_->on(on), on, bytes_of(name), if_unused ? 1 : 0);
  return impl_->end(on);
}

reply rabbit_client::declare_queue(channel on, const std::string& name, queue_properties properties,
                                   const field_table& arguments) {
  encoded_table table{arguments};
  const auto* ok = amqp_queue_declare(impl_->on(on), on, bytes_of(name), properties.passive ? 1 : 0,
                                      properties.durable ? 1 : 0, properties.exclusive ? 1 : 0,
                                      properties.auto_delete ? 1 : 0, table.get());
  const std::uint32_t count = ok != nullptr ? ok->message_count : 0;
  reply r = impl_->end(on);
  r.count = count;
  return r;
}

reply rabbit_client::delete_queue(channel on, const std::string& name, bool if_unused, bool if_empty) {
  const auto* ok = amqp_queue_delete(impl_->on(on), on, bytes_of(name), if_unused ? 1 : 0, if_empty ? 1 : 0);
  const std::uint32_t count = ok != nullptr ? ok->message_count : 0;
  reply r = impl_->end(on);
  r.count = count;
  return r;
}

reply rabbit_client::purge_queue(channel on, const std::string& name) {
  const auto* ok = amqp_queue_purge(impl_->on(on), on, bytes_of(name));
  const std::uint32_t count = ok != nullptr ? ok->message_count : 0;
  reply r = impl_->end(on);
  r.count = count;
  return r;
}

reply rabbit_client::bind_queue(channel on, const std::string& queue, const std::string& exchange,
                                const std::string& key, const field_table& arguments) {
  encoded_table table{arguments};
  amqp_queue_bind(impl_->on(on), on, bytes_of(queue), bytes_of(exchange), bytes_of(key), table.get());
  return impl_->end(on);
}

reply rabbit_client::unbind_queue(channel on, const std::string& queue, const std::string& exchange,
                                  const std::string& key, const field_table& arguments) {
  encoded_table table{arguments};
  amqp_queue_unbind(impl_->on(on), on, bytes_of(queue), bytes_of(exchange), bytes_of(key), table.get());
  return impl_->end(on);
}

reply rabbit_client::bind_exchange(channel on, const std::string& destination, const std::string& source,
                                   const std::string& key, const field_table& arguments) {
  encoded_table table{arguments};
  amqp_exchange_bind(impl_->on(on), on, bytes_of(destination), bytes_of(source), bytes_of(key), table.get());
  return impl_->end(on);
}

reply rabbit_client::unbind_exchange(channel on, const std::string& destination, const std::string& source,
                                     const std::string& key, const field_table& arguments) {
  encoded_table table{arguments};
  amqp_exchange_unbind(impl_->on(on), on, bytes_of(destination), bytes_of(source), bytes_of(key),
                       table.get());
  return impl_->end(on);
}

publish_reply rabbit_client::publish(channel on, const std::string& exchange, const std::string& key,
                                     const outgoing& what, bool mandatory) {
  return impl_->publish(on, exchange, key, what, mandatory);
}

get_reply rabbit_client::get(channel on, const std::string& queue, bool auto_ack) {
  return impl_->get(on, queue, auto_ack);
}

reply rabbit_client::ack(channel on, std::uint64_t tag, bool multiple) {
  amqp_basic_ack(impl_->on(on), on, tag, multiple ? 1 : 0);
  return impl_->synchronize(on);
}

reply rabbit_client::nack(channel on, std::uint64_t tag, bool multiple, bool requeue) {
  amqp_basic_nack(impl_->on(on), on, tag, multiple ? 1 : 0, requeue ? 1 : 0);
  return impl_->synchronize(on);
}

reply rabbit_client::reject(channel on, std::uint64_t tag, bool requeue) {
  amqp_basic_reject(impl_->on(on), on, tag, requeue ? 1 : 0);
  return impl_->synchronize(on);
}

}  // namespace levada::rabbit
