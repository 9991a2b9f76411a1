#pragma once

/// @file
/// What the tests of checkpoints share: a store that one can be taken of, and what a power cut leaves of it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <support/file_bytes.hpp>

#include "storage/checkpoint_file.hpp"
#include "storage/page_check.hpp"
#include "storage/row.hpp"
#include "storage_testing.hpp"

namespace levada::test {

template <class T>
T number_in(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// A main environment without flushes and a model of it.
class checkpointed_store_fixture : public ::testing::Test {
 protected:
  using table_content = std::map<std::uint64_t, std::string>;
  using content = std::array<table_content, 7>;

  checkpointed_store_fixture() { std::filesystem::create_directory(work()); }

  static constexpr storage::environment_options options{.map_bytes = std::size_t{64} << 20, .no_sync = true};

  [[nodiscard]] std::filesystem::path work() const { return directory_ / "main"; }
  [[nodiscard]] std::filesystem::path file() const { return work() / "data.mdb"; }

  static std::array<MDB_dbi, 7> tables_of(const storage::main_environment& main) {
    const storage::main_tables& t = main.tables();
    return {t.journal, t.catalog, t.offsets, t.producers, t.queues, t.schedule, t.host};
  }

  /// One commit of random changes, in the store and in the model.
  static void change(storage::main_environment& main, content& model, std::mt19937_64& random) {
    const auto tables = tables_of(main);
    auto txn = ok(storage::write_transaction::begin(main.env()));
    for (int i = 0; i < 12; ++i) {
      const std::size_t t = random() % tables.size();
      const std::uint64_t number = random() % 150;
      const std::uint64_t key = storage::big_endian(number);
      if (random() % 3 != 0) {
        std::string value(random() % 1900 + 100, static_cast<char>('a' + random() % 26));
        ok(txn.put(tables[t], bytes_of(key), as_bytes(value)));
        model[t][number] = std::move(value);
      } else {
        ok(txn.erase(tables[t], bytes_of(key)));
        model[t].erase(number);
      }
    }
    ASSERT_EQ(txn.commit(), 0);
  }

  /// Two commits that leave the store as empty as it was, with many free pages for later ones to reuse.
  static void make_free_pages(storage::main_environment& main) {
    const std::string value(1900, 'f');
    for (const bool erase : {false, true}) {
      auto txn = ok(storage::write_transaction::begin(main.env()));
      for (std::uint64_t n = 1000; n < 1500; ++n) {
        const std::uint64_t key = storage::big_endian(n);
        if (erase) {
          ok(txn.erase(main.tables().queues, bytes_of(key)));
        } else {
          ok(txn.put(main.tables().queues, bytes_of(key), as_bytes(value)));
        }
      }
      ASSERT_EQ(txn.commit(), 0);
    }
  }

  static content content_in(const storage::main_environment& main) {
    content found;
    const auto tables = tables_of(main);
    const auto txn = ok(storage::read_transaction::begin(main.env()));
    for (std::size_t t = 0; t < tables.size(); ++t) {
      auto c = ok(storage::cursor::open(txn, tables[t]));
      for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT))) {
        std::uint64_t key = 0;
        std::memcpy(&key, at->key.data(), sizeof key);
        found[t][storage::big_endian(key)] = {reinterpret_cast<const char*>(at->value.data()),
                                              at->value.size()};
      }
    }
    return found;
  }

  /// What a power cut finds: a snapshot that was on disk, and the file as it was then and later on.
  struct history {
    std::uint64_t transaction = 0;
    std::vector<std::byte> meta_page;
    content snapshot;
    std::vector<std::string> files;
    std::size_t page_size = 0;
  };

  enum class pin { kept, dropped };

  /// Writes a history with at least `commits_before` commits, so that the snapshot's transaction is even or
  /// odd as asked for.
  [[nodiscard]] history write_history(std::mt19937_64& random, pin what, std::uint64_t parity) const {
    auto main = ok(storage::main_environment::create(work(), options));
    content model;
    make_free_pages(main);
    for (int i = 0; i < 30 || main.env().last_transaction() % 2 != parity; ++i) change(main, model, random);

    history made;
    std::optional<storage::read_transaction> reader = ok(storage::read_transaction::begin(main.env()));
    made.transaction = reader->id();
    made.meta_page = ok(storage::read_meta_page(file(), made.transaction)).value();
    made.snapshot = model;
    if (what == pin::dropped) reader.reset();
    ok(main.env().sync());
    made.page_size = made.meta_page.size();
    made.files.push_back(read_file(file()));
    for (int commits : {1, 1, 1, 3, 20, 60}) {
      for (; commits > 0; --commits) change(main, model, random);
      made.files.push_back(read_file(file()));
    }
    return made;
  }

  /// The file with each page as it was at any time, as it may be after a power cut: the system writes pages
  /// back in any order, some never.
  static std::string mixture(const history& from, std::mt19937_64& random, std::size_t unit) {
    std::string mixed = from.files[random() % from.files.size()];
    for (std::size_t at = 0; at < mixed.size(); at += unit) {
      const std::string& then = from.files[random() % from.files.size()];
      if (at + unit <= then.size()) mixed.replace(at, unit, then, at, unit);
    }
    return mixed;
  }

  /// Whether the store, restored after the power cut that left `found`, is what it was at the snapshot.
  [[nodiscard]] bool restores(const history& from, const std::string& found) const {
    const temporary_directory cut;
    const std::filesystem::path data = cut / "data.mdb";
    write_file(data, found);
    if (!storage::restore_meta_page(data, from.meta_page)) return false;
    if (!storage::verify_main_file(data)) return false;
    const auto main = storage::main_environment::open(cut.path(), options);
    return main && main->env().last_transaction() == from.transaction && content_in(*main) == from.snapshot;
  }

  /// How many of the pages that were in the file at the snapshot have changed since.
  static std::size_t pages_changed(const history& in) {
    std::size_t changed = 0;
    for (std::size_t at = 2 * in.page_size; at < in.files.front().size(); at += in.page_size) {
      if (in.files.front().compare(at, in.page_size, in.files.back(), at, in.page_size) != 0) ++changed;
    }
    return changed;
  }

 private:
  temporary_directory directory_;
};

}  // namespace levada::test
