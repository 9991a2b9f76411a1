#include <emergency_call/event.hpp>

#include <gtest/gtest.h>

#include <common/failure.hpp>

namespace emergency {
namespace {

TEST(Event, IsReadAsItWasWritten) {
  for (const auto* text :
       {"called 7 40.5,-75.25,EMS: FALL VICTIM,2016-01-15 12:01,\"A, B\",MILL ROAD 1", "started", "killed",
        "acknowledged 7 new", "acknowledged 7 again", "joined 3 old-town.#",
        "joined 3 old-town.mill-road-1.*", "joined 3 old-town.mill-road-1.4b", "left 3", "handed 7 1 5 2",
        "delivered 3 7", "accepted 7", "committed 1 6", "| a line  of text", "| ", "reported"}) {
    EXPECT_EQ(to_text(parse_event(text)), text);
  }
}

TEST(Event, RefusesOtherText) {
  for (const auto* text : {"", "hello", "called", "called x 1,2", "called 7", "started now", "accepted",
                           "accepted x", "handed 7 1 5", "joined 3 old-town"}) {
    EXPECT_THROW(static_cast<void>(parse_event(text)), example::failure) << text;
  }
}

}  // namespace
}  // namespace emergency
