#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

constexpr const char* known = R"({"rabbit_version":"3.10.8","users":[{"name":"guest"}],
  "exchanges":[{"name":"shop","vhost":"/","type":"topic","durable":true,"auto_delete":false,"arguments":{}}],
  "queues":[{"name":"orders","vhost":"/","durable":true,"auto_delete":false,"arguments":{"x-max-length":9}},
            {"name":"other","vhost":"east","durable":true,"auto_delete":false,"arguments":{}}],
  "bindings":[{"source":"shop","vhost":"/","destination":"orders","destination_type":"queue",
               "routing_key":"order.#","arguments":{}}]})";
constexpr const char* wholly_known = R"({"queues":[{"name":"a"}]})";

constexpr const char* export_of_known = R"({
  "exchanges": [
    {"arguments":{},"auto_delete":false,"durable":true,"name":"shop","type":"topic","vhost":"/"}
  ],
  "queues": [
    {"arguments":{"x-max-length":9},"auto_delete":false,"durable":true,"name":"orders","type":"classic","vhost":"/"}
  ],
  "bindings": [
    {"arguments":{},"destination":"orders","destination_type":"queue","routing_key":"order.#","source":"shop","vhost":"/"}
  ]
}
)";

class DefinitionsCommand : public command_fixture {
 protected:
  /// A file of that content.
  [[nodiscard]] std::string file(std::string_view content) const {
    const auto path = directory() / "definitions.json";
    std::ofstream{path} << content;
    return path.string();
  }
  [[nodiscard]] std::vector<std::string> queues() const {
    std::vector<std::string> names;
    for (const auto& q : ok(ok(attachment::open(store())).queues())) names.push_back(q.name);
    return names;
  }
  [[nodiscard]] bool has_store() const { return std::filesystem::exists(store()); }
};

TEST_F(DefinitionsCommand, ImportsAFileAndMakesTheStore) {
  EXPECT_EQ(print({"definitions", "import", file(known)}),
            "without meaning: member 'users': a store has none; 1 left out\n"
            "without meaning: virtual host 'east': left out: 0 exchanges, 1 queues and 0 bindings\n"
            "imported 1 exchange, 1 queue, 1 binding and 0 policies\n");
  EXPECT_EQ(print({"definitions", "export"}), export_of_known);
}

TEST_F(DefinitionsCommand, TakesTheDirectoryBehindTheSecondWordToo) {
  const auto done = run(levada_command({"definitions", "import", "-", "--dir", store()}), wholly_known);
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.out, "imported 0 exchanges, 1 queue, 0 bindings and 0 policies\n");
  EXPECT_THAT(run(levada_command({"definitions", "import", "-"}), wholly_known), fails_saying(2, "--dir"));
  EXPECT_THAT(levada({"definitions"}), fails_saying(2, "levada definitions --help"));
}

TEST_F(DefinitionsCommand, ReadsStandardInputAndPrintsJson) {
  const auto done = levada({"definitions", "import", "-", "--json", "--vhost", "east"}, known);
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.err, "");
  EXPECT_EQ(
      done.out,
      R"({"applied":true,"exchanges":0,"queues":1,"bindings":0,"policies":0,"findings":[)"
      R"({"importance":"without_meaning","where":"member 'users'","what":"a store has none; 1 left out"},)"
      R"({"importance":"without_meaning","where":"virtual host '/'","what":)"
      R"("left out: 1 exchanges, 1 queues and 1 bindings"}]})"
      "\n");
  EXPECT_THAT(print({"definitions", "export", "--vhost", "west"}),
              testing::HasSubstr(R"("name":"other","type":"classic","vhost":"west"})"));
}

TEST_F(DefinitionsCommand, DoesNothingWhereSomethingIsUnknown) {
  const std::string from = file(R"({"queues":[{"name":"a"},{"name":"b","type":"stream"}]})");
  const auto refused = levada({"definitions", "import", from});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.out,
            "unknown: queue 'b': there are no queues of type 'stream' here\n"
            "would import 0 exchanges, 1 queue, 0 bindings and 0 policies\n");
  EXPECT_EQ(refused.err, fmt::format("levada: import '{}' into store '{}': 1 thing is unknown; nothing has "
                                     "been changed (see --skip-unknown)\n",
                                     from, store()));
  EXPECT_FALSE(has_store()) << "what imports nothing must not make a store";
  EXPECT_EQ(levada({"definitions", "import", from, "--dry-run"}).status, 1);
  EXPECT_EQ(levada({"definitions", "import", from, "--skip-unknown"}).status, 0);
  EXPECT_EQ(queues(), std::vector<std::string>{"a"});
}

TEST_F(DefinitionsCommand, TellsAndChangesNothingInADryRun) {
  const auto expect_told = [&] {
    const auto told = levada({"definitions", "import", file(wholly_known), "--dry-run"});
    EXPECT_EQ(told.status, 0);
    EXPECT_EQ(told.out, "would import 0 exchanges, 1 queue, 0 bindings and 0 policies\n");
    EXPECT_EQ(told.err, "levada: nothing has been changed; leave --dry-run out to do it\n");
  };
  expect_told();
  EXPECT_FALSE(has_store());
  ok(ok(bus::open(store())).declare_queue("mine"));
  expect_told();
  EXPECT_EQ(queues(), std::vector<std::string>{"mine"});
}

TEST_F(DefinitionsCommand, FailsInOneLine) {
  EXPECT_THAT(levada({"definitions", "export"}), fails_saying(1, "open store '" + store() + "'"));
  EXPECT_THAT(levada({"definitions", "import", store() + "/none"}),
              fails_saying(1, "No such file or directory"));
  EXPECT_THAT(levada({"definitions", "import", directory().path().string()}),
              fails_saying(1, "Is a directory"));
  EXPECT_THAT(levada({"definitions", "import", file("{\n x")}), fails_saying(1, "line 2, column 2: "));
  EXPECT_THAT(levada({"definitions", "import", file(R"({"queues":[{"name":""}]})")}),
              fails_saying(1, "empty"));
  EXPECT_THAT(levada({"definitions", "import"}), fails_saying(2, "FILE"));
  EXPECT_FALSE(has_store());
  ok(ok(bus::open(store())).declare_queue("a", {.max_length = 1}));
  EXPECT_THAT(levada({"definitions", "import", file(wholly_known)}),
              fails_saying(1, "queue 'a': it exists with x-max-length 1, not none"));
}

TEST_F(DefinitionsCommand, RefusesMoreThanItWouldRead) {
  std::filesystem::resize_file(file("{}"), std::uintmax_t{1} << 40);  // sparse
  EXPECT_THAT(levada({"definitions", "import", (directory() / "definitions.json").string()}),
              fails_saying(1, "the limit is 67108864"));
}

TEST_F(DefinitionsCommand, ExportsBesideAHostAndNamesItWhereItWouldImport) {
  auto host = ok(bus::open(store()));
  ok(import_definitions(host, known));
  EXPECT_EQ(print({"definitions", "export"}), export_of_known);
  EXPECT_THAT(levada({"definitions", "import", file(wholly_known)}),
              fails_saying(1, std::to_string(::getpid())));
}

}  // namespace
}  // namespace levada::test
