#pragma once

/// @file
/// Calls that wait, made for callers that do not.

#include <functional>
#include <memory>
#include <utility>

#include "bus/core.hpp"
#include "bus/pending.hpp"

namespace levada {

/// Makes the call in the bus's thread for those, one after the other, and answers. Once the bus is closed the
/// call, which then fails, is made at once.
template <class T>
void make_call(const std::shared_ptr<core>& owner, std::function<result<T>()> call,
               detail::completion<T> done) {
  // Shared, as it must still be there when nothing has been posted.
  const auto answer = std::make_shared<pending<T>>(std::move(done), *owner);
  if (!owner->calls().post([call, answer] { answer->answer(call()); })) answer->answer(call());
}

}  // namespace levada
