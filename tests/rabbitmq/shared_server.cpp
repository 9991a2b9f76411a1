#include <rabbitmq/shared_server.hpp>

#include <memory>

namespace levada::rabbit {

namespace {

/// GoogleTest owns it, and tears it down after the last test.
class server_holder final : public ::testing::Environment {
 public:
  rabbit_server& get() {
    if (!server_) server_ = std::make_unique<rabbit_server>();
    return *server_;
  }
  void TearDown() override { server_.reset(); }

 private:
  std::unique_ptr<rabbit_server> server_;
};

// GoogleTest's own state is ready before main.
server_holder* const holder = [] {
  auto* made = new server_holder;
  ::testing::AddGlobalTestEnvironment(made);
  return made;
}();

}  // namespace

rabbit_server& shared_server() {
  return holder->get();
}

}  // namespace levada::rabbit
