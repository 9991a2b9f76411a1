#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <support/file_bytes.hpp>

#include "segment_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::batch_key;
using storage::batch_view;
using storage::segment_file;
using storage::segment_reader;

/// A small segment of some depth: small batches within pages, large ones on pages of their own.
class DamagedSegment : public segment_fixture {
 protected:
  DamagedSegment() {
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
      for (std::uint64_t i = 0; i < 90; ++i) {
        const std::size_t size = i % 30 == 7 ? 5000 : batch_overhead + i % 11 * 40;
        batches_.push_back(batch_of({2, partition, i * 4}, i * 4 + 3, size));
      }
    }
    write(batches_);
    whole_ = read_file(file());
  }

  void patch(std::size_t at, std::string_view bytes) const { patch_file(file(), at, bytes); }
  [[nodiscard]] const known_batch* known(const batch_key& key) const {
    const auto found = std::lower_bound(batches_.begin(), batches_.end(), key,
                                        [](const known_batch& b, const batch_key& k) { return b.key < k; });
    return found != batches_.end() && found->key == key ? &*found : nullptr;
  }
  /// A batch with the right checksum is one that was written.
  void expect_genuine(const batch_view& batch) const {
    if (!storage::verify_batch(batch)) return;
    const auto* const original = known(batch.key);
    ASSERT_NE(original, nullptr) << "offset " << batch.key.base_offset;
    ASSERT_TRUE(
        std::equal(batch.value.begin(), batch.value.end(), original->value.begin(), original->value.end()));
  }
  /// Opens and reads everything that can be read. That this process lives on is half of the proof.
  void open_and_read() {
    auto opened = segment_file::open(file(), id);
    if (!opened) {
      ++refused_;
      EXPECT_TRUE(opened.error().code() == errc::damaged || opened.error().code() == errc::unsupported_format)
          << opened.error().message();
      return;
    }
    ASSERT_TRUE(*opened);
    ++accepted_;
    auto r = ok(segment_reader::open(*opened));
    std::size_t walked = 0;
    for (auto b = r.first();; b = r.next()) {
      ASSERT_LE(++walked, 2 * batches_.size()) << "the walk ends";
      if (!b) {
        EXPECT_EQ(b.error().code(), errc::damaged);
        continue;
      }
      if (!*b) break;
      expect_genuine(**b);
    }
    for (std::size_t i = 0; i < batches_.size(); i += 3) {
      const auto& original = batches_[i];
      auto b = r.find({original.key.log, original.key.partition, original.key.base_offset + i % 2});
      if (!b) {
        EXPECT_EQ(b.error().code(), errc::damaged);
        continue;
      }
      if (*b) expect_genuine(**b);
      if (!*b || (storage::verify_batch(**b) && (*b)->key != original.key)) ++passed_over_;
    }
  }

  std::vector<known_batch> batches_;
  std::string whole_;
  int refused_ = 0;
  int accepted_ = 0;
  int passed_over_ = 0;  ///< batches that are not found, though nothing is said to be damaged
};

TEST_F(DamagedSegment, IsSoundAtFirst) {
  open_and_read();
  EXPECT_EQ(accepted_, 1);
  EXPECT_EQ(passed_over_, 0);
  EXPECT_GT(whole_.size(), 20 * page);
}

TEST_F(DamagedSegment, IsRefusedWhereverItIsCutOff) {
  for (std::size_t size = 0; size < whole_.size(); size += size % page == 0 ? 1 : page - 1) {
    fs::resize_file(file(), whole_.size());
    fs::resize_file(file(), size);
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size;
    write_file(file(), whole_);
    fs::resize_file(file(), size + page / 2 < whole_.size() ? size + page / 2 : size);
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size + page / 2;
    write_file(file(), whole_);
  }
  fs::resize_file(file(), whole_.size() - 1);
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(DamagedSegment, IsReadWithAnythingBehindItsEnd) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{100}, page, page + 1}) {
    write_file(file(), whole_ + std::string(size, 'x'));
    open_and_read();
  }
  EXPECT_EQ(accepted_, 4);
  EXPECT_EQ(passed_over_, 0);
}

class DamagedMetaPages : public DamagedSegment, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Bits, DamagedMetaPages, ::testing::Range(0, 8));

TEST_P(DamagedMetaPages, AreRefusedOrReadWithoutHarm) {
  constexpr std::size_t meta_bytes = 16 + 152;
  for (std::size_t meta = 0; meta < 2; ++meta) {
    for (std::size_t at = meta * page; at < meta * page + meta_bytes; ++at) {
      patch(at, std::string(1, static_cast<char>(whole_[at] ^ (1 << GetParam()))));
      const int before = passed_over_;
      open_and_read();
      EXPECT_EQ(passed_over_, before) << "byte " << at;
      if (HasFatalFailure()) FAIL() << "byte " << at;
      patch(at, whole_.substr(at, 1));
    }
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(accepted_, 0);
}

TEST_F(DamagedSegment, IsRefusedWithFlagsOfItsTableThatSegmentsDoNotHave) {
  // Where the table's flags stand in a meta page. MDB_REVERSEKEY makes LMDB compare keys from their ends:
  // then batches are not found any more, and nothing else tells.
  constexpr std::size_t flags = 16 + 24 + 48 + 4;
  for (std::size_t bit = 0; bit < 16; ++bit) {
    std::string bytes = whole_;
    for (const std::size_t meta : {std::size_t{0}, page}) {
      bytes[meta + flags + bit / 8] = static_cast<char>(bytes[meta + flags + bit / 8] ^ (1 << bit % 8));
    }
    write_file(file(), bytes);
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << "bit " << bit;
  }
}

TEST_F(DamagedSegment, IsRefusedWhereAValueOnPagesOfItsOwnCannotBeThere) {
  std::size_t nodes = 0;
  for (std::size_t at = 2 * page; at + page <= whole_.size(); at += page) {
    const auto number = [&](std::size_t where) {
      std::uint16_t n = 0;
      std::memcpy(&n, whole_.data() + where, sizeof n);
      return n;
    };
    if (number(at + 10) != 0x02) continue;  // a leaf, as LMDB lays it out; none of them is free
    for (std::size_t i = at + 16; i < at + number(at + 12); i += 2) {
      const std::size_t node = at + number(i);
      if (number(node + 4) != 0x01) continue;  // its value lies elsewhere
      ++nodes;
      const std::size_t target = node + 8 + 16;
      const auto refused = [&](std::size_t where, auto value) {
        patch(where, {reinterpret_cast<const char*>(&value), sizeof value});
        EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << value;
        patch(where, whole_.substr(where, sizeof value));
      };
      const std::uint64_t pages = whole_.size() / page;
      for (const std::uint64_t elsewhere :
           {pages, pages - 1, pages + 1, UINT64_MAX, UINT64_MAX - 1, std::uint64_t{1} << 52, std::uint64_t{0},
            std::uint64_t{1}, std::uint64_t{at / page}}) {
        refused(target, elsewhere);
      }
      for (const std::uint32_t size : {0xffff'ffffU, 0x7fff'ffffU, 0x1000'0000U, 9000U, 0U})
        refused(node, size);
    }
  }
  EXPECT_EQ(nodes, 9U);
  EXPECT_THAT(segment_file::open(file(), id), succeeds());
}

TEST_F(DamagedSegment, IsSafeWithAnyPageZeroedOrReplacedByAnother) {
  const std::size_t pages = whole_.size() / page;
  for (std::size_t n = 0; n < pages; ++n) {
    for (const std::string& other :
         {std::string(page, '\0'), std::string(page, '\xff'), whole_.substr((n + 1) % pages * page, page)}) {
      patch(n * page, other);
      open_and_read();
      if (HasFatalFailure()) FAIL() << "page " << n;
    }
    patch(n * page, whole_.substr(n * page, page));
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(accepted_, 0) << "pages of values are not read before they are needed";
}

class DamagedSegmentAtRandom : public DamagedSegment, public ::testing::WithParamInterface<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, DamagedSegmentAtRandom, ::testing::Range(1U, 5U));

TEST_P(DamagedSegmentAtRandom, IsRefusedOrReadWithoutHarm) {
  std::mt19937 random{GetParam()};
  for (int round = 0; round < 250; ++round) {
    std::string bytes = whole_;
    for (int flips = round % 4 == 0 ? 16 : 1; flips > 0; --flips) {
      std::size_t at = random() % bytes.size();
      // Mostly where little is much: at the beginnings of pages, and where nodes stand.
      if (round % 3 == 0) at = at / page * page + at % 200;
      if (round % 5 == 4) {
        const std::size_t size = std::min<std::size_t>(1 + random() % 64, bytes.size() - at);
        for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(random());
      } else {
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      }
    }
    write_file(file(), bytes);
    open_and_read();
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(accepted_, 0);
}

}  // namespace
}  // namespace levada::test
